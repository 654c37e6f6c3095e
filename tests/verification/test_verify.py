import json
import threading
import time
from collections import Counter

import numpy as np
import pytest
import sealed
from hypothesis import given
from hypothesis import strategies as st
from noisy import Noisy, other
from refusals import refuses

from modelseal.domain import Domain
from modelseal.endpoints.factory import endpoint
from modelseal.endpoints.recorded import Heading, RecordedEndpoint, record, start
from modelseal.enums import Depth
from modelseal.errors import BadFileError, EndpointError, InvalidArgumentError, PassingError
from modelseal.fingerprint.file_format import load
from modelseal.verdict import Finding, Outcome
from modelseal.verification.ledger import read_ledger
from modelseal.verification.querier import QueryPolicy
from modelseal.verification.sequential import SequentialPolicy
from modelseal.verification.verify import verify

MADE = sealed.fingerprint(count=12)
ORDER = np.random.default_rng(5).permutation(12).tolist()


class Slow:
    """Answers as expected after a moment, but for what a script says; counts who asks at once.

    With `together`, nobody but the first is answered before so many are there at once.
    """

    name = "slow"

    def __init__(self, script=(), *, seconds=0.0, together=0):
        self.script, self.seconds, self.together = dict(script), seconds, together
        self.lock, self.full = threading.Lock(), threading.Event()
        self.inside, self.most, self.asked = 0, [], []

    def ask(self, codes):
        number = [row.tobytes() for row in MADE.samples].index(codes[0].tobytes())
        with self.lock:
            self.inside += 1
            self.most.append(self.inside)
            self.asked.append(number)
        if self.inside >= self.together:
            self.full.set()
        if self.together and len(self.asked) > 1:
            assert self.full.wait(20)
        time.sleep(self.seconds)
        with self.lock:
            self.inside -= 1
        step = self.script.get(number, self.script.get("any"))
        if isinstance(step, Exception):
            raise step
        return right(number) if step is None else step


def right(number):
    return MADE.expected.take(np.array([number]))


def wrong(number):
    return other(MADE, number)


def run(endpoint, *, seed=5, made=MADE, policy=None, **settings):
    generator = np.random.default_rng(seed)
    policy = QueryPolicy(**(policy or {}))
    return verify(made, endpoint, generator=generator, policy=policy, **settings)


@given(seed=st.integers(0, 2**32))
def test_each_sample_is_asked_once_in_the_order_of_the_generator(seed):
    endpoint = Slow()
    assert run(endpoint, seed=seed).outcome is Outcome.INTACT
    assert endpoint.asked == np.random.default_rng(seed).permutation(12).tolist()


def test_a_function_or_a_path_is_opened_and_named(tmp_path):
    def zeros(inputs):
        return np.zeros(len(inputs), int)

    assert run(zeros).outcome is Outcome.TAMPERED
    record(MADE.expected, tmp_path / "answers.jsonl")
    verdict = run(tmp_path / "answers.jsonl")
    assert verdict.outcome is Outcome.INTACT
    assert verdict.provenance.endpoint == str(tmp_path / "answers.jsonl")
    with refuses(InvalidArgumentError):
        run("somewhere")


def test_an_endpoint_that_was_opened_before_is_asked_its_declared_natural_images_first(tmp_path):
    made = sealed.fingerprint(domain=Domain(shape=(1, 2, 2)))
    images = np.zeros((2, 2, 2), np.uint8)
    np.savez(tmp_path / "few.npz", images=images, labels=np.array([0, 0]))
    place = '[endpoint]\nkind = "http"\nurl = "http://127.0.0.1:9/x"\n'
    declared = f'{place}[check]\nimages = "few.npz"\n'
    (tmp_path / "endpoint.toml").write_text(declared)
    opened = endpoint(tmp_path / "endpoint.toml", made)
    verdict = run(opened, made=made, policy={"retries": 0})
    assert (verdict.outcome, verdict.evidence) == (Outcome.UNDECIDED, ())
    assert "natural image 0" in verdict.reason


# Many at once


@pytest.mark.parametrize("concurrency", [1, 2, 5, 40])
def test_as_many_are_asked_at_once_as_is_said_and_the_first_is_asked_alone(concurrency):
    endpoint = Slow(together=min(concurrency, 11))
    assert run(endpoint, policy={"concurrency": concurrency}).outcome is Outcome.INTACT
    assert sorted(endpoint.asked) == list(range(12))
    endpoint = Slow(seconds=0.01)
    run(endpoint, policy={"concurrency": concurrency})
    assert max(endpoint.most) <= concurrency
    assert endpoint.most[0] == 1


def test_the_first_proof_stops_many_at_once_and_what_was_under_way_is_kept():
    endpoint = Slow({ORDER[0]: wrong(ORDER[0])})
    assert len(run(endpoint, policy={"concurrency": 4}).evidence) == 1
    endpoint = Slow({ORDER[2]: wrong(ORDER[2])}, seconds=0.02)
    verdict = run(endpoint, policy={"concurrency": 4})
    assert verdict.outcome is Outcome.TAMPERED
    assert len(verdict.evidence) >= 3
    assert {entry.sample for entry in verdict.evidence} == set(endpoint.asked)


def test_a_proof_ends_the_waits_of_the_others():
    busy = PassingError("busy", wait=60.0)
    endpoint = Slow({ORDER[1]: busy, ORDER[2]: busy, ORDER[3]: wrong(ORDER[3])})
    begin = time.monotonic()
    verdict = run(endpoint, policy={"concurrency": 3})
    assert (verdict.outcome, verdict.count(Finding.UNCLEAR)) == (Outcome.TAMPERED, 2)
    assert time.monotonic() - begin < 50


def test_a_bug_in_an_endpoint_is_raised_from_among_many():
    with pytest.raises(ZeroDivisionError):
        run(Slow({4: ZeroDivisionError("a bug")}), policy={"concurrency": 3})


@pytest.mark.parametrize("concurrency", [1, 4])
def test_progress_never_goes_back_and_comes_from_one_thread(concurrency):
    reports, threads = [], set()

    def report(*each):
        reports.append(each)
        threads.add(threading.get_ident())

    run(Slow(), policy={"concurrency": concurrency}, progress=report)
    assert reports == [("verify", number, 12) for number in range(1, 13)]
    assert threads == {threading.get_ident()}


# A record to go on with


def begin_record(path, answers, **changes):
    """A record of some answers, as an earlier check left it."""
    heading = {"fingerprint": MADE.digest, "samples": 12, "endpoint": "slow", **changes}
    recorder = start(path, Heading(**heading))
    for number, answer in answers.items():
        recorder.note(number, answer)
    recorder.release()
    return path


def test_what_is_recorded_is_examined_and_not_asked_and_comes_first(tmp_path):
    endpoint, told = Slow(), []
    path = begin_record(tmp_path / "r", {7: right(7), 2: right(2)})
    verdict = run(endpoint, resume=path, notify=told.append)
    assert verdict.outcome is Outcome.INTACT
    assert [entry.sample for entry in verdict.evidence] == [7, 2, *endpoint.asked]
    assert set(endpoint.asked) == set(range(12)) - {2, 7}
    assert len(told) == 1
    again = Slow()
    assert run(again, resume=path).outcome is Outcome.INTACT
    assert again.asked == []


def test_a_recorded_proof_is_enough_unless_all_are_wanted(tmp_path):
    path = begin_record(tmp_path / "r", {3: wrong(3), 4: right(4)})
    endpoint = Slow()
    verdict = run(endpoint, resume=path)
    assert (verdict.outcome, endpoint.asked) == (Outcome.TAMPERED, [])
    assert [entry.sample for entry in verdict.evidence] == [3, 4]
    verdict = run(endpoint, resume=path, depth=Depth.ALL)
    assert (verdict.outcome, len(endpoint.asked)) == (Outcome.TAMPERED, 10)


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("fingerprint", {"fingerprint": "sha256:0"}),
        ("endpoint", {"endpoint": "another"}),
        ("neighbours", {"neighbours": True}),
    ],
)
def test_the_record_of_another_check_is_refused(tmp_path, field, changes):
    endpoint = Slow()
    with refuses(BadFileError, field=field):
        run(endpoint, resume=begin_record(tmp_path / "r", {}, **changes))
    assert endpoint.asked == []


def test_a_record_is_begun_in_a_new_file_and_not_together_with_an_old_one(tmp_path):
    endpoint = Slow()
    old = begin_record(tmp_path / "r", {})
    with refuses(BadFileError, file=old):
        run(endpoint, record=old)
    with refuses(InvalidArgumentError):
        run(endpoint, record=tmp_path / "new", resume=old)
    assert endpoint.asked == []
    run(endpoint, record=tmp_path / "new")
    assert len((tmp_path / "new").read_text().splitlines()) == 13


@pytest.mark.parametrize("proof", range(12))
def test_a_proof_in_a_file_of_recorded_answers_is_found_whatever_is_missing(tmp_path, proof):
    path = tmp_path / "answers.jsonl"
    path.write_text(json.dumps({"sample": proof, "labels": wrong(proof).labels[0].tolist()}))
    for seed in range(5):
        verdict = run(RecordedEndpoint(path, MADE.samples), seed=seed)
        assert verdict.outcome is Outcome.TAMPERED


# The ledger


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"per_check": 4}, "per_check"),
        ({"max_uses": 1}, "max_uses"),
        ({"sequential": SequentialPolicy(alpha=0.1)}, "alpha"),
        ({"sequential": SequentialPolicy(queries=9)}, "queries"),
        ({"sequential": SequentialPolicy(look=1)}, "look"),
        ({"neighbours": True}, "neighbours"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_asked(settings, field):
    endpoint = Slow()
    with refuses(InvalidArgumentError, field=field):
        run(endpoint, **settings)
    assert endpoint.asked == []


# Neighbours

GUARDED = sealed.fingerprint(count=4, neighbours=sealed.NEIGHBOURS)


def guarded(neighbours=True, made=GUARDED, **endpoint):  # noqa: FBT002 (as verify has it)
    asked = Noisy(fingerprint=made, **endpoint)
    return run(asked, seed=1, made=made, neighbours=neighbours), asked


def test_a_differing_answer_of_a_neighbour_counts_as_the_samples():
    changed = {2: other(GUARDED, 2)}
    verdict, _ = guarded(beside=changed)
    assert (verdict.outcome, verdict.evidence[-1].sample) == (Outcome.TAMPERED, 2)
    assert guarded(neighbours=False, beside=changed)[0].outcome is Outcome.INTACT


def test_every_sample_and_its_neighbours_are_asked_in_random_order_if_that_is_wanted():
    orders = set()
    for seed in range(9):
        asked = Noisy(fingerprint=GUARDED)
        verdict = run(asked, seed=seed, made=GUARDED, neighbours=True)
        assert (verdict.outcome, len(verdict.evidence), len(asked.asked)) == (Outcome.INTACT, 4, 11)
        orders.add(tuple(zip(asked.asked, asked.faces, strict=True)))
    assert len(orders) == 9
    assert len({frozenset(order) for order in orders}) == 1


# Decoys

DOMAIN = Domain(shape=(1, 4, 4))


def plain(count=3, **changes):
    """Samples with values of their own, so that natural inputs can be far from all of them."""
    samples = np.full((count, *DOMAIN.shape), 40, np.uint8)
    samples[:, 0, 0, 0] = np.arange(count)
    return sealed.fingerprint(domain=DOMAIN, samples=samples, count=count, **changes)


DECOYS = np.random.default_rng(0).integers(120, 256, (5, *DOMAIN.shape), dtype=np.uint8)


class Answering:
    """Answers samples as expected and decoys by a script, and keeps what came."""

    name = "answering"

    def __init__(self, made, decoys=None, samples=None):
        self.made, self.decoys, self.samples, self.came = made, decoys, samples, []

    def ask(self, codes):
        (match,) = np.nonzero((self.made.samples == codes).all(axis=(1, 2, 3)))
        self.came.append(int(match[0]) if len(match) else "decoy")
        script = self.samples if len(match) else self.decoys
        if isinstance(script, Exception):
            raise script
        return self.made.expected.take(match if len(match) else np.array([0]))


def covered(made, *script, decoys=DECOYS, seed=0, concurrency=1, **settings):
    endpoint = Answering(made, *script)
    policy = {"retries": 0, "concurrency": concurrency}
    return run(endpoint, made=made, seed=seed, policy=policy, decoys=decoys, **settings), endpoint


@pytest.mark.parametrize("concurrency", [1, 3])
def test_an_intact_model_is_intact_whatever_it_says_to_decoys(concurrency):
    verdict, endpoint = covered(plain(), concurrency=concurrency)
    assert verdict.outcome is Outcome.INTACT
    assert Counter(endpoint.came) == {0: 1, 1: 1, 2: 1, "decoy": 5}
    assert sorted(entry.sample for entry in verdict.evidence) == [0, 1, 2]


def test_silence_to_decoys_and_to_samples_adds_up_until_the_endpoint_is_left_alone():
    verdict, endpoint = covered(plain(8), EndpointError("lost"), EndpointError("lost"))
    assert (verdict.outcome, len(endpoint.came)) == (Outcome.UNDECIDED, 3)


def test_silence_to_decoys_alone_can_end_the_asking_but_is_never_intact():
    ended = [covered(plain(1), EndpointError("lost"), seed=seed)[0] for seed in range(20)]
    assert {verdict.outcome for verdict in ended} == {Outcome.INTACT, Outcome.UNDECIDED}
    for verdict in ended:
        assert (verdict.outcome is Outcome.INTACT) == (len(verdict.evidence) == 1)


def test_answers_to_decoys_are_not_recorded_and_none_are_asked_once_all_is_known(tmp_path):
    made = plain()
    covered(made, record=tmp_path / "r")
    lines = [json.loads(line) for line in (tmp_path / "r").read_text().splitlines()]
    assert sorted(line["sample"] for line in lines[1:]) == [0, 1, 2]
    verdict, endpoint = covered(made, resume=tmp_path / "r")
    assert (verdict.outcome, endpoint.came) == (Outcome.INTACT, [])


def test_the_ledger_beside_the_fingerprint_s_file_is_the_one_that_is_kept(tmp_path):
    MADE.save(tmp_path / "out.seal")
    loaded = load(tmp_path / "out.seal")
    verdict = run(Slow(), made=loaded, per_check=4)
    assert verdict.provenance.fingerprint == str(tmp_path / "out.seal")
    assert len(read_ledger(tmp_path / "out.seal.ledger").entries) == 1
    assert len(run(Slow(), made=loaded).chosen) == 4
