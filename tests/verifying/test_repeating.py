from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import sealed
from noisy import Noisy, counting, other
from scipy.stats import binom

from modelseal.endpoints.endpoint import Endpoint
from modelseal.endpoints.recorded import RecordedEndpoint, record
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.verdict import Finding, Outcome
from modelseal.verification.e_process import bound_all
from modelseal.verification.policy import Clock, Manners, Terms
from modelseal.verification.querier import Asker, Depth
from modelseal.verification.sequential import verify_repeatedly
from modelseal.verification.verify import verify

COUNT = 8
STEADY = sealed.enrolment(asked=COUNT, differing=(0,) * COUNT, otherwise=(False,) * COUNT)


def enrolled(**changes):
    return sealed.fingerprint(**{"count": COUNT, "enrollment": STEADY, **changes})


def run(made, *, seed=5, depth=Depth.FIRST_PROOF, **settings):
    endpoint = Noisy(fingerprint=made, **settings.pop("endpoint", {}))
    assert isinstance(endpoint, Endpoint)
    manners = settings.pop("manners", None) or Manners(terms=Terms(**settings))
    verdict = verify(
        made, endpoint, generator=np.random.default_rng(seed), depth=depth, manners=manners
    )
    return verdict, endpoint


def test_a_deployment_that_answers_as_enrolled_is_intact_after_eight_answers_of_each_sample():
    verdict, endpoint = run(enrolled())
    assert verdict.outcome is Outcome.INTACT
    assert Counter(endpoint.asked) == dict.fromkeys(range(COUNT), 8)
    found = verdict.statistics
    assert (found.queries, found.p_value, found.bar) == (64, 1.0, 200.0)
    assert (found.false_alarm_bound, found.missed_bound, found.look) == (0.01, 0.01, None)
    assert verdict.reason == (
        "8 of 8 samples are still answered as enrolled: 0 of 64 answers differed"
    )
    assert all(entry.tally.agreeing == 8 for entry in verdict.evidence)


def test_noise_as_at_enrolment_is_no_tampering():
    noisy = replace(STEADY, differing=(3,) * COUNT)
    noise = dict.fromkeys(range(COUNT), 0.1)
    for seed in range(5):
        endpoint = {"noise": noise, "generator": np.random.default_rng(seed)}
        verdict, _ = run(enrolled(enrollment=noisy), seed=seed, endpoint=endpoint)
        assert verdict.outcome is Outcome.INTACT
        assert "answers differed" in verdict.reason


def test_one_changed_sample_of_eight_is_found_in_few_questions_with_its_evidence():
    made = enrolled(names=("ant", "bee", "cat", "dog", "elk"))
    for seed in range(10):
        verdict, endpoint = run(made, seed=seed, endpoint={"changed": {3: other(made, 3)}})
        assert verdict.outcome is Outcome.TAMPERED
        assert verdict.statistics.queries == len(endpoint.asked) < 20
        assert verdict.statistics.e_value >= 200
        (entry,) = [entry for entry in verdict.evidence if entry.finding is Finding.DIFFERS]
        assert (entry.sample, entry.tally.agreeing, entry.expected) == (3, 0, "ant")
        times = f"{entry.tally.differing} of {entry.tally.differing} times, such as bee"
        assert times in verdict.reason
        assert "sample 3 was to answer ant" in verdict.reason


def test_one_answer_that_differs_proves_nothing_and_is_followed_up_at_once():
    made = enrolled()
    endpoint = Noisy(fingerprint=made, changed={3: other(made, 3)})
    manners = Manners(terms=Terms(queries=8))
    verdict = verify(made, endpoint, generator=np.random.default_rng(5), manners=manners)
    assert verdict.outcome is Outcome.UNDECIDED
    first = endpoint.asked.index(3)
    assert 0 < first < 6
    assert endpoint.asked[first:] == [3] * (8 - first)


def test_a_suspicious_sample_does_not_keep_the_others_from_their_turns():
    made = enrolled(enrollment=replace(STEADY, differing=(5,) * COUNT))
    noise = {0: 0.42}
    verdict, endpoint = run(made, endpoint={"noise": noise}, queries=300)
    assert set(endpoint.asked) == set(range(COUNT))
    assert {entry.sample for entry in verdict.evidence if entry.finding is Finding.AGREES} >= set(
        range(1, COUNT)
    )


def test_all_goes_on_after_the_proof_until_every_sample_is_settled():
    made = enrolled()
    changed = {number: other(made, number) for number in (1, 6)}
    verdict, _ = run(made, depth=Depth.ALL, endpoint={"changed": changed})
    assert verdict.outcome is Outcome.TAMPERED
    found = {entry.sample: entry.finding for entry in verdict.evidence}
    assert {n for n, finding in found.items() if finding is Finding.DIFFERS} == {1, 6}
    assert verdict.count(Finding.AGREES) == COUNT - 2


def test_too_few_questions_settle_nothing():
    verdict, endpoint = run(enrolled(), queries=20)
    assert verdict.outcome is Outcome.UNDECIDED
    assert len(endpoint.asked) == verdict.statistics.queries == 20
    assert verdict.reason.startswith(
        "8 of 8 samples are not settled since as many questions were asked as are allowed: sample "
    )
    assert "answers differed, which settles nothing" in verdict.reason


def test_a_deployment_that_is_gone_is_left_alone_and_undecided():
    changed = dict.fromkeys(range(COUNT), EndpointError("no route to host"))
    verdict, endpoint = run(enrolled(), endpoint={"changed": changed})
    assert verdict.outcome is Outcome.UNDECIDED
    assert len(endpoint.asked) == 3
    assert "5 were not asked since 3 times in a row no answer came" in verdict.reason
    assert "no route to host" in verdict.reason


def test_a_sample_without_answers_is_never_intact_and_never_tampering():
    verdict, _ = run(enrolled(), endpoint={"changed": {2: EndpointError("too busy")}})
    assert verdict.outcome is Outcome.UNDECIDED
    (entry,) = [entry for entry in verdict.evidence if entry.finding is not Finding.AGREES]
    assert (entry.sample, entry.finding, entry.reason) == (2, Finding.UNCLEAR, "too busy")
    assert verdict.statistics.e_value == 1.0


def test_an_answer_that_fails_now_and_then_takes_more_questions():
    made = enrolled()

    class Flaky(Noisy):
        def ask(self, codes):
            answer = super().ask(codes)
            if len(self.asked) % 9 == 0:
                raise EndpointError("try again")
            return answer

    endpoint = Flaky(fingerprint=made)
    verdict = verify(made, endpoint, generator=np.random.default_rng(5))
    assert verdict.outcome is Outcome.INTACT
    assert verdict.statistics.queries > 64
    assert sum(entry.tally.unclear for entry in verdict.evidence) > 0


def test_later_looks_of_a_schedule_need_more_proof():
    made = enrolled()
    endpoint = {"changed": {3: other(made, 3)}}
    bars = [run(made, look=look, endpoint=endpoint)[0].statistics.bar for look in (1, 2, 30)]
    assert bars == sorted(bars)
    assert bars[0] > 200
    verdict, _ = run(made, look=30, endpoint=endpoint)
    assert (verdict.outcome, verdict.statistics.look) == (Outcome.TAMPERED, 30)


def test_false_alarms_stay_below_alpha_although_every_sample_is_as_noisy_as_allowed():
    counts = 5
    noisy = replace(STEADY, differing=(counts,) * COUNT, alpha=0.2)
    (bound,) = bound_all(np.array([counts]), 30, risk=0.1, samples=COUNT)
    noise, alarms, rounds = dict.fromkeys(range(COUNT), bound), 0, 20
    for seed in range(rounds):
        endpoint = {"noise": noise, "generator": np.random.default_rng(seed)}
        verdict, _ = run(enrolled(enrollment=noisy), seed=seed, endpoint=endpoint, queries=120)
        alarms += verdict.outcome is Outcome.TAMPERED
    assert alarms <= binom.ppf(0.999, rounds, 0.1)


def test_neighbours_and_sample_are_asked_by_chance_and_count_as_one():
    made = enrolled(count=4, neighbours=sealed.NEIGHBOURS, enrollment=quarter())
    verdict, endpoint = run(made)
    assert verdict.outcome is Outcome.INTACT
    assert len(verdict.evidence) == 4
    faces = Counter(zip(endpoint.asked, endpoint.faces, strict=True))
    assert set(faces) == {
        (0, 0),
        (0, 1),
        (0, 2),
        (1, 0),
        (1, 1),
        *[(n, f) for n in (2, 3) for f in range(3)],
    }


def quarter():
    return sealed.enrolment(asked=4, differing=(0,) * 4, otherwise=(False,) * 4)


def test_a_table_of_canned_answers_is_found_out_by_neighbours_alone():
    plain = enrolled(count=4, enrollment=quarter())
    guarded = enrolled(count=4, enrollment=quarter(), neighbours=sealed.NEIGHBOURS)
    tampered = {number: other(plain, number) for number in range(4)}
    assert run(plain, endpoint={"beside": tampered})[0].outcome is Outcome.INTACT
    assert run(guarded, endpoint={"beside": tampered})[0].outcome is Outcome.TAMPERED


def test_a_check_may_be_about_some_samples():
    made = enrolled(power=sealed.LIMITS)
    verdict, endpoint = run(made, manners=Manners(chosen=(2, 5)))
    assert (verdict.outcome, verdict.chosen) == (Outcome.INTACT, (2, 5))
    assert set(endpoint.asked) == {2, 5}
    assert "rules out" not in verdict.reason
    changed = {2: other(made, 2), 3: other(made, 3)}
    verdict, endpoint = run(made, manners=Manners(chosen=(3, 5)), endpoint={"changed": changed})
    assert verdict.outcome is Outcome.TAMPERED
    assert set(endpoint.asked) <= {3, 5}


def test_an_intact_verdict_on_all_samples_quotes_their_power():
    assert (
        "rules out, as tried at sealing: Gaussian noise"
        in run(enrolled(power=sealed.LIMITS))[0].reason
    )


def test_no_question_is_asked_after_the_time():
    now = [0.0]

    class Slow(Noisy):
        def ask(self, codes):
            now[0] += 1.0
            return super().ask(codes)

    made = enrolled()
    endpoint = Slow(fingerprint=made)
    manners = Manners(time_limit=10.5, clock=Clock(now=lambda: now[0], wait=lambda *_: None))
    verdict = verify(made, endpoint, generator=np.random.default_rng(5), manners=manners)
    assert (verdict.outcome, len(endpoint.asked)) == (Outcome.UNDECIDED, 11)
    assert "not settled since the time limit was over" in verdict.reason


def test_every_answer_is_noted_and_progress_is_told():
    notes, reports = [], []
    made = enrolled()
    verify(
        made,
        Noisy(fingerprint=made),
        generator=np.random.default_rng(5),
        manners=Manners(note=lambda number, answer: notes.append(number)),
        progress=counting(reports),
    )
    assert len(notes) == 64
    assert reports == [(number + 1, 400) for number in range(64)]


def test_answers_of_earlier_cannot_be_counted_again():
    with pytest.raises(InvalidArgumentError, match="no answers of earlier were wanted"):
        run(enrolled(), manners=Manners(known={0: EndpointError("x")}))


def test_what_says_the_same_however_often_it_is_asked_is_refused(tmp_path):
    made = enrolled()
    record(made.expected, tmp_path / "answers.jsonl")
    recorded = RecordedEndpoint(tmp_path / "answers.jsonl", made.samples)
    with pytest.raises(InvalidArgumentError, match="but recorded answers came"):
        verify(made, recorded, generator=np.random.default_rng(0))


def test_several_questions_at_once_are_refused_and_not_asked_one_by_one_in_silence():
    with pytest.raises(InvalidArgumentError, match="one question at a time was wanted"):
        run(enrolled(), manners=Manners(concurrency=2))


def test_a_fingerprint_that_is_not_enrolled_is_refused():
    made = sealed.fingerprint()
    generator = np.random.default_rng(0)
    asker = Asker(Noisy(fingerprint=made), made, manners=Manners(), generator=generator)
    with pytest.raises(InvalidArgumentError, match="an enrolled fingerprint was wanted"):
        verify_repeatedly(made, asker, generator=generator, progress=lambda *_: None)


def test_the_order_is_that_of_the_generator():
    made = enrolled()
    orders = [run(made, seed=seed)[1].asked for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0][:COUNT]) == list(range(COUNT))


def test_an_intact_verdict_says_how_many_samples_were_enrolled_with_other_answers():
    otherwise = (True, True, *(False,) * (COUNT - 2))
    verdict, _ = run(enrolled(enrollment=replace(STEADY, otherwise=otherwise)))
    assert verdict.outcome is Outcome.INTACT
    assert verdict.reason.endswith(
        "; 2 of these samples were enrolled with other answers than those of the sealed network, "
        "so that what was changed before is not found"
    )
