from math import log

import numpy as np
import pytest
import sealed
from noisy import other

from modelseal.errors import EndpointError
from modelseal.verdict import Finding
from modelseal.verification.e_process import average, weigh_alarm, weigh_trust
from modelseal.verification.policy import MISSED, Terms, apply
from modelseal.verification.sequential import PATIENCE, Tallies, Turns

MADE = sealed.fingerprint(enrollment=sealed.enrolment())


def begin(*, chosen=None, **terms):
    levels = apply(Terms(**terms), MADE.enrollment, samples=3)
    return Tallies(MADE, levels, chosen=chosen)


def agreeing(number):
    return MADE.expected.take(np.array([number]))


def test_what_is_found_is_what_the_mathematics_says_of_the_counts():
    tallies = begin()
    answers = {0: "aaad", 1: "ddau", 2: "aaaaaaaaaaaaaaaaaa"}
    made = {"d": lambda n: other(MADE, n), "a": agreeing, "u": lambda n: EndpointError("x")}
    for number, row in answers.items():
        for letter in row:
            tallies.take(number, made[letter](number))
    levels = tallies.levels
    alarms = weigh_alarm(np.array([1, 2, 0]), np.array([3, 1, 18]), levels.bounds)
    assert tallies.alarms == pytest.approx(alarms)
    trust = weigh_trust(np.array([1, 3, 0]), np.array([3, 1, 18]), levels.estimates)
    assert tallies.trusted.tolist() == (trust >= -log(MISSED)).tolist() == [False, False, True]
    assert tallies.highest >= average(alarms)
    assert tallies.queries == 26


def test_the_height_of_an_alarm_is_kept_when_later_answers_agree():
    tallies = begin()
    for _ in range(3):
        tallies.take(1, other(MADE, 1))
    highest = tallies.highest
    for _ in range(3):
        tallies.take(1, agreeing(1))
    assert tallies.highest == highest > average(tallies.alarms)


def test_samples_that_were_not_chosen_are_neither_open_nor_averaged():
    few, every = begin(chosen=(1,)), begin()
    assert few.open.tolist() == [False, True, False]
    for tallies in (few, every):
        tallies.take(1, other(MADE, 1))
    assert few.highest == few.alarms[1] > every.highest


def test_evidence_shows_the_differing_answer_and_every_count():
    tallies = begin()
    for answer in (agreeing(1), other(MADE, 1), EndpointError("busy"), agreeing(1)):
        tallies.take(1, answer)
    (entry,) = tallies.evidence()
    assert (entry.finding, entry.shown) == (Finding.UNCLEAR, other(MADE, 1).describe(0))
    counts = (entry.tally.agreeing, entry.tally.differing, entry.tally.unclear)
    assert counts == (2, 1, 1)
    assert entry.reason == (
        "1 of 4 answers differed and 1 could not be judged, which settles nothing"
    )


def test_every_open_sample_has_its_turn_in_a_new_order_each_time():
    tallies, turns = begin(), Turns(np.random.default_rng(1))
    orders = [[turns.choose(tallies) for _ in range(3)] for _ in range(20)]
    assert all(sorted(order) == [0, 1, 2] for order in orders)
    assert len({tuple(order) for order in orders}) > 3


def test_the_most_suspicious_sample_goes_first_but_not_for_ever():
    tallies, turns = begin(), Turns(np.random.default_rng(1))
    turns.choose(tallies)
    tallies.take(0, other(MADE, 0))
    tallies.take(2, other(MADE, 2))
    tallies.take(2, other(MADE, 2))
    assert [turns.choose(tallies) for _ in range(PATIENCE)] == [2] * PATIENCE
    others = [turns.choose(tallies) for _ in range(1 + PATIENCE)]
    assert others[1:] == [2] * PATIENCE


def test_nothing_is_chosen_when_all_is_settled():
    tallies = begin()
    for number in range(3):
        for _ in range(12):
            tallies.take(number, agreeing(number))
    assert not tallies.open.any()
    assert Turns(np.random.default_rng(0)).choose(tallies) is None
