import json
import threading
import time

import numpy as np
import pytest
import sealed

from modelseal.endpoints.recorded import RecordedEndpoint
from modelseal.errors import EndpointError, InvalidArgumentError, PassingError
from modelseal.outputs.answers import Answers, Kind
from modelseal.verdict import Finding, Outcome
from modelseal.verification.policy import Manners
from modelseal.verification.querier import Depth
from modelseal.verification.verify import verify

MADE = sealed.fingerprint(count=12)


class Slow:
    """Answers as expected after a moment, but for what a script says; counts who asks at once."""

    def __init__(self, script=(), *, seconds=0.02):
        self.script = dict(script)
        self.seconds = seconds
        self.lock = threading.Lock()
        self.inside = 0
        self.most = []
        self.asked = []

    def ask(self, codes):
        number = [row.tobytes() for row in MADE.samples].index(codes[0].tobytes())
        with self.lock:
            self.inside += 1
            self.most.append(self.inside)
            self.asked.append(number)
        time.sleep(self.seconds)
        with self.lock:
            self.inside -= 1
        step = self.script.get(number, self.script.get("any"))
        if isinstance(step, Exception):
            raise step
        return MADE.expected.take(np.array([number])) if step is None else step


def label(value):
    return Answers(kind=Kind.LABELS, labels=np.array([[value]]))


def wrong(number):
    return label(int(MADE.expected.labels[number, 0] + 1) % 5)


def run(endpoint, *, depth=Depth.FIRST_PROOF, progress=lambda *_: None, seed=5, **manners):
    return verify(
        MADE,
        endpoint,
        generator=np.random.default_rng(seed),
        depth=depth,
        progress=progress,
        manners=Manners(**manners),
    )


class Full(Slow):
    """Lets nobody but the first go before so many are there at once."""

    def __init__(self, wanted):
        super().__init__(seconds=0)
        self.wanted = wanted
        self.full = threading.Event()

    def ask(self, codes):
        if len(self.asked):
            with self.lock:
                self.inside += 1
                if self.inside >= self.wanted:
                    self.full.set()
            assert self.full.wait(60)
            with self.lock:
                self.inside -= 1
        return super().ask(codes)


@pytest.mark.parametrize("concurrency", [1, 2, 5, 40])
def test_as_many_are_asked_at_once_as_is_said_and_the_first_is_asked_alone(concurrency):
    endpoint = Full(min(concurrency, 11))
    assert run(endpoint, concurrency=concurrency).outcome is Outcome.INTACT
    assert sorted(endpoint.asked) == list(range(12))


@pytest.mark.parametrize("concurrency", [1, 2, 5])
def test_no_more_are_asked_at_once_than_is_said(concurrency):
    endpoint = Slow()
    run(endpoint, concurrency=concurrency)
    assert max(endpoint.most) <= concurrency
    assert endpoint.most[0] == 1


def test_evidence_of_many_at_once_stands_in_the_order_of_asking():
    endpoint = Slow()
    verdict = run(endpoint, concurrency=4)
    assert [entry.sample for entry in verdict.evidence] == (
        np.random.default_rng(5).permutation(12).tolist()
    )


class Revealing(Slow):
    """Answers one sample wrongly once so many are under way, and those only when it is known."""

    def __init__(self, *, proof, under_way):
        super().__init__({proof: wrong(proof)}, seconds=0)
        self.proof = MADE.samples[proof].tobytes()
        self.first = threading.Event()
        self.together = threading.Barrier(under_way)
        self.known = threading.Event()

    def ask(self, codes):
        answer = super().ask(codes)
        if self.first.is_set():
            self.together.wait(60)
            assert codes[0].tobytes() == self.proof or self.known.wait(60)
        self.first.set()
        return answer

    def watch(self, stage, done, total):
        if done == 2:
            self.known.set()


def test_the_first_proof_stops_many_at_once_and_what_was_under_way_is_kept():
    order = np.random.default_rng(5).permutation(12).tolist()
    endpoint = Slow({order[0]: wrong(order[0])})
    assert len(run(endpoint, concurrency=4).evidence) == 1
    endpoint = Revealing(proof=order[2], under_way=4)
    verdict = run(endpoint, concurrency=4, progress=endpoint.watch)
    assert verdict.outcome is Outcome.TAMPERED
    assert {entry.sample for entry in verdict.evidence} == set(endpoint.asked) == set(order[:5])


def test_a_proof_ends_the_waits_of_the_others():
    order = np.random.default_rng(5).permutation(12).tolist()
    busy = PassingError("busy", wait=60.0)
    endpoint = Slow({order[1]: busy, order[2]: busy, order[3]: wrong(order[3])})
    begin = time.monotonic()
    verdict = run(endpoint, concurrency=3)
    assert verdict.outcome is Outcome.TAMPERED
    assert verdict.count(Finding.UNCLEAR) == 2
    assert time.monotonic() - begin < 50


def test_every_sample_is_asked_by_many_at_once_if_all_are_wanted():
    verdict = run(Slow({n: wrong(n) for n in (1, 2, 6)}), concurrency=5, depth=Depth.ALL)
    assert (len(verdict.evidence), verdict.count(Finding.DIFFERS)) == (12, 3)


def test_a_dead_server_is_left_alone_by_many_too():
    endpoint = Slow({"any": EndpointError("refused")})
    verdict = run(endpoint, concurrency=3)
    assert verdict.outcome is Outcome.UNDECIDED
    assert "3 times in a row no answer came" in verdict.reason
    assert len(verdict.evidence) <= 5


def test_a_bug_in_an_endpoint_is_raised_from_among_many():
    with pytest.raises(ZeroDivisionError, match="a bug"):
        run(Slow({4: ZeroDivisionError("a bug")}), concurrency=3)


def test_progress_of_many_at_once_never_goes_back_and_comes_from_one_thread():
    reports, threads = [], set()

    def report(*each):
        reports.append(each)
        threads.add(threading.get_ident())

    run(Slow(), concurrency=4, progress=report)
    assert reports == [("verify", number, 12) for number in range(1, 13)]
    assert threads == {threading.get_ident()}


def test_what_is_known_is_examined_and_not_asked_and_comes_first():
    known = {7: label(int(MADE.expected.labels[7, 0])), 2: label(int(MADE.expected.labels[2, 0]))}
    endpoint = Slow(seconds=0)
    verdict = run(endpoint, known=known)
    assert verdict.outcome is Outcome.INTACT
    assert [entry.sample for entry in verdict.evidence] == [7, 2, *endpoint.asked]
    assert set(endpoint.asked) == set(range(12)) - {2, 7}


def test_a_proof_that_is_known_is_enough_unless_all_are_wanted():
    endpoint = Slow(seconds=0)
    known = {3: wrong(3), 4: label(int(MADE.expected.labels[4, 0]))}
    verdict = run(endpoint, known=known)
    assert (verdict.outcome, endpoint.asked) == (Outcome.TAMPERED, [])
    assert [entry.sample for entry in verdict.evidence] == [3, 4]
    verdict = run(endpoint, known=known, depth=Depth.ALL)
    assert (verdict.outcome, len(endpoint.asked)) == (Outcome.TAMPERED, 10)


@pytest.mark.parametrize("known", [EndpointError("contradict"), ["junk"], label(99)])
def test_what_is_known_and_no_answer_leaves_it_undecided(known):
    verdict = run(Slow(seconds=0), known={3: known})
    assert (verdict.outcome, len(verdict.evidence)) == (Outcome.UNDECIDED, 12)


@pytest.mark.parametrize("number", [-1, 12])
def test_an_answer_that_is_known_of_no_sample_is_the_callers_mistake(number):
    with pytest.raises(InvalidArgumentError, match="known: samples 0 to 11 were wanted"):
        run(Slow(), known={number: label(1)})


@pytest.mark.parametrize("proof", range(12))
def test_a_proof_in_a_file_of_recorded_answers_is_found_whatever_is_missing(tmp_path, proof):
    path = tmp_path / "answers.jsonl"
    path.write_text(json.dumps({"sample": proof, "labels": wrong(proof).labels[0].tolist()}))
    for seed in range(5):
        verdict = run(RecordedEndpoint(path, MADE.samples), seed=seed)
        assert verdict.outcome is Outcome.TAMPERED
