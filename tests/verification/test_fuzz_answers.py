"""Answers that nobody would give: never a traceback, a hang, or intact without all answers."""

import numpy as np
import pytest

from fuzz_truth import Body, deserved
from fuzzed_answers import KINDS, SPECS, ask_server, fuzz_answers, right_body, sealed_for
from fuzzing import run_cases
from modelseal.verdict import Evidence, Finding, Outcome
from modelseal.verification import querier


def test_fuzzed_answers_come_to_every_outcome_and_none_ends_badly():
    tally = fuzz_answers(600, seed=1)
    assert (tally.tracebacks, tally.unfounded, tally.examples) == (0, 0, [])
    assert tally.cases == 600
    assert tally.slowest < 5
    outcomes = {name.split(": ")[1] for name in tally.outcomes}
    assert outcomes >= {"intact", "undecided", "refused"}


def test_a_verdict_that_rests_on_nothing_would_be_counted(monkeypatch):
    def agree(fingerprint, number, _):
        return Evidence(sample=number, finding=Finding.AGREES, expected="")

    monkeypatch.setattr(querier, "examine", agree)
    tally = fuzz_answers(50, seed=1)
    assert tally.unfounded > 10
    assert "AGREES" in tally.examples[0]


def test_a_bug_would_be_counted(monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(querier, "examine", fail)
    tally = run_cases(KINDS, count=10, seed=1)
    assert tally.tracebacks + tally.outcomes["mutated records: refused"] == 10
    assert "ZeroDivisionError: a bug" in tally.examples[0]


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("binary", [False, True])
def test_the_slow_reading_knows_a_right_answer_from_a_wrong_one(spec, binary):
    fingerprint, scores = sealed_for(spec)
    bodies = [right_body(fingerprint, scores, n, binary=binary) for n in range(len(fingerprint))]
    rights = [[deserved(fingerprint, n, body) for body in bodies] for n in range(len(bodies))]
    assert np.array_equal(rights, np.eye(len(bodies), dtype=bool))
    assert not deserved(fingerprint, 0, Body(data=b'{"outputs": []}'))


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_the_answers_that_are_changed_are_right_before(spec):
    fingerprint, scores = sealed_for(spec)
    bodies = [right_body(fingerprint, scores, n, binary=False) for n in range(len(fingerprint))]
    assert ask_server(fingerprint, bodies, b"{}").outcome is Outcome.INTACT
