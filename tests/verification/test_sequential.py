from collections import Counter
from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np
import pytest
import sealed
from noisy import Noisy, other
from refusals import refuses
from scipy.stats import binom

from modelseal.endpoints.recorded import RecordedEndpoint, record
from modelseal.enums import Depth
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.verdict import Finding, Outcome
from modelseal.verification.e_process import average, bound_all, weigh_alarm, weigh_trust
from modelseal.verification.judge import examine
from modelseal.verification.querier import QueryPolicy
from modelseal.verification.sequential import MISSED, SequentialPolicy, Tallies, find_levels
from modelseal.verification.verify import verify

COUNT = 8
STEADY = sealed.enrolment(asked=COUNT, differing=(0,) * COUNT, otherwise=(False,) * COUNT)


def enrolled(**changes):
    return sealed.fingerprint(**{"count": COUNT, "enrollment": STEADY, **changes})


def run(made, *, seed=5, depth=Depth.FIRST_PROOF, endpoint=None, **settings):
    asked = Noisy(fingerprint=made, **(endpoint or {}))
    more = {
        name: settings.pop(name)
        for name in ("policy", "ledger", "per_check", "record")
        if name in settings
    }
    generator, sequential = np.random.default_rng(seed), SequentialPolicy(**settings)
    verdict = verify(made, asked, generator=generator, depth=depth, sequential=sequential, **more)
    return verdict, asked


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
    assert all(entry.tally.agrees == 8 for entry in verdict.evidence)


def test_one_changed_sample_of_eight_is_found_in_few_questions_with_its_evidence():
    made = enrolled(names=("ant", "bee", "cat", "dog", "elk"))
    for seed in range(10):
        verdict, endpoint = run(made, seed=seed, endpoint={"changed": {3: other(made, 3)}})
        assert verdict.outcome is Outcome.TAMPERED
        assert verdict.statistics.queries == len(endpoint.asked) < 20
        assert verdict.statistics.e_value >= 200
        (entry,) = [entry for entry in verdict.evidence if entry.finding is Finding.DIFFERS]
        assert (entry.sample, entry.tally.agrees, entry.expected) == (3, 0, "ant")
        times = f"{entry.tally.differs} of {entry.tally.differs} times, such as bee"
        assert times in verdict.reason
        assert "sample 3 was to answer ant" in verdict.reason


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
    assert set(faces) == {(n, f) for n in range(4) for f in range(3)} - {(1, 2)}


def quarter():
    return sealed.enrolment(asked=4, differing=(0,) * 4, otherwise=(False,) * 4)


def test_a_table_of_canned_answers_is_found_out_by_neighbours_alone():
    plain = enrolled(count=4, enrollment=quarter())
    guarded = enrolled(count=4, enrollment=quarter(), neighbours=sealed.NEIGHBOURS)
    tampered = {number: other(plain, number) for number in range(4)}
    assert run(plain, endpoint={"beside": tampered})[0].outcome is Outcome.INTACT
    assert run(guarded, endpoint={"beside": tampered})[0].outcome is Outcome.TAMPERED


def test_a_check_may_be_about_some_samples_and_the_ledger_counts_its_looks(tmp_path):
    made = enrolled(power=sealed.LIMITS)
    for look in (1, 2):
        verdict, endpoint = run(made, ledger=tmp_path / "l", per_check=2)
        assert (verdict.outcome, len(verdict.chosen)) == (Outcome.INTACT, 2)
        assert set(endpoint.asked) == set(verdict.chosen)
        assert (verdict.rules_out, verdict.statistics.look) == ((), look)
    assert run(made, ledger=tmp_path / "l", look=9)[0].statistics.look == 9


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("concurrency", {"policy": QueryPolicy(concurrency=2)}),
        ("decoys", {"decoys": np.zeros((1, 2, 3), np.uint8)}),
        ("resume", {"resume": Path("r")}),
        ("alpha", {"sequential": SequentialPolicy(alpha=1e-9)}),
    ],
)
def test_what_an_enrolled_fingerprint_cannot_be_asked_with_is_refused(field, settings):
    made = enrolled()
    endpoint = Noisy(fingerprint=made)
    with refuses(InvalidArgumentError, field=field):
        verify(made, endpoint, **settings)
    assert endpoint.asked == []


def test_what_says_the_same_however_often_it_is_asked_is_refused(tmp_path):
    made = enrolled()
    record(made.expected, tmp_path / "answers.jsonl")
    recorded = RecordedEndpoint(tmp_path / "answers.jsonl", made.samples)
    with refuses(InvalidArgumentError, field="endpoint"):
        verify(made, recorded)


def test_an_intact_verdict_says_how_many_samples_were_enrolled_with_other_answers():
    otherwise = (True, True, *(False,) * (COUNT - 2))
    verdict, _ = run(enrolled(enrollment=replace(STEADY, otherwise=otherwise)))
    assert verdict.outcome is Outcome.INTACT
    assert "2 of these samples were enrolled with other answers" in verdict.reason


def test_no_query_is_sent_after_the_time():
    verdict, endpoint = run(enrolled(), policy=QueryPolicy(time_limit=1e-9))
    assert (verdict.outcome, endpoint.asked) == (Outcome.UNDECIDED, [])
    assert verdict.reason.endswith("the time limit was over")


# Tallies

MADE = sealed.fingerprint(enrollment=sealed.enrolment())


def begin(*, chosen=None):
    levels = find_levels(SequentialPolicy(), MADE.enrollment, samples=3)
    return Tallies(MADE, levels, chosen=chosen)


def agreeing(number):
    return MADE.expected.take(np.array([number]))


def test_what_is_found_is_what_the_mathematics_says_of_the_counts():
    tallies = begin()
    answers = {0: "aaad", 1: "ddau", 2: "aaaaaaaaaaaaaaaaaa"}
    made = {"d": lambda n: other(MADE, n), "a": agreeing, "u": lambda n: EndpointError("x")}
    for number, row in answers.items():
        for letter in row:
            tallies.take(examine(MADE, number, made[letter](number)))
    levels = tallies.levels
    alarms = weigh_alarm(np.array([1, 2, 0]), np.array([3, 1, 18]), levels.bounds)
    assert tallies.alarms == pytest.approx(alarms)
    trust = weigh_trust(np.array([1, 3, 0]), np.array([3, 1, 18]), levels.estimates)
    assert tallies.trusted.tolist() == (trust >= -log(MISSED)).tolist() == [False, False, True]
    assert tallies.highest >= average(alarms)
    assert tallies.queries == 26
