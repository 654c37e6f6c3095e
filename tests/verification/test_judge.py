from dataclasses import dataclass, field

import numpy as np
import pytest
import sealed

from modelseal.endpoints.endpoint import Endpoint
from modelseal.enums import Depth
from modelseal.errors import EndpointError
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.specs import Probabilities, RawScores, TopLabels, TopProbabilities
from modelseal.verdict import Finding, Outcome
from modelseal.verification.verify import verify

NAMES = ("ant", "bee", "cat", "dog", "elk")


@dataclass
class Scripted:
    """Answers each sample of a fingerprint as expected, but for what the script says."""

    fingerprint: object
    script: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)

    def ask(self, codes):
        assert len(codes) == 1
        (number,) = (
            n for n, sample in enumerate(self.fingerprint.samples) if (sample == codes[0]).all()
        )
        self.asked.append(number)
        answer = self.script.get(number, self.script.get("any"))
        codes[:] = 0  # an endpoint that spoils its input spoils nothing else
        if isinstance(answer, Exception):
            raise answer
        return self.fingerprint.expected.take(np.array([number])) if answer is None else answer


def run(fingerprint, script=None, **settings):
    endpoint = Scripted(fingerprint, script or {})
    assert isinstance(endpoint, Endpoint)
    verdict = verify(fingerprint, endpoint, generator=np.random.default_rng(5), **settings)
    assert [entry.sample for entry in verdict.evidence] == endpoint.asked
    return verdict


def labels(*row):
    return Answers(kind=Kind.LABELS, labels=np.array([row]))


def unchecked(*, kind=Kind.LABELS, labels=None, values=None):
    """An answer past all checks, as an endpoint of somebody else may build it."""
    answer = object.__new__(Answers)
    for name, part in {"kind": kind, "labels": labels, "values": values}.items():
        object.__setattr__(answer, name, part)
    return answer


@pytest.mark.parametrize("depth", Depth)
@pytest.mark.parametrize("spec", sealed.SPECS, ids=str)
@pytest.mark.parametrize("domain", sealed.DOMAINS, ids=str)
def test_a_model_that_answers_every_sample_as_expected_is_intact(domain, spec, depth):
    made = sealed.fingerprint(domain=domain, spec=spec, count=6)
    verdict = run(made, depth=depth)
    assert verdict.outcome is Outcome.INTACT
    assert sorted(entry.sample for entry in verdict.evidence) == list(range(6))


@pytest.mark.parametrize("depth", Depth)
def test_an_intact_verdict_rules_out_what_all_its_samples_were_seen_to_notice(depth):
    made = sealed.fingerprint(power=sealed.LIMITS)
    verdict = run(made, depth=depth)
    assert verdict.reason == "3 of 3 samples answered as expected"
    assert (verdict.rules_out, verdict.provenance.harmless_answers) == (sealed.LIMITS, 3000)
    wrong = labels((made.expected.labels[0, 0] + 1) % 5)
    for answer in (wrong, EndpointError("timeout")):
        assert run(made, {0: answer}, depth=depth).rules_out == ()


def test_one_sample_that_differs_is_proof_and_the_asking_stops_there():
    made = sealed.fingerprint(count=8, names=NAMES)
    wrong = (made.expected.labels[3, 0] + 1) % 5
    verdict = run(made, {3: labels(wrong)})
    assert verdict.outcome is Outcome.TAMPERED
    assert verdict.evidence[-1].sample == 3
    assert verdict.count(Finding.DIFFERS) == 1
    assert verdict.reason == (
        f"1 of {len(verdict.evidence)} asked samples answered otherwise: sample 3 was to answer "
        f"{NAMES[made.expected.labels[3, 0]]}, but answered {NAMES[wrong]}"
    )


def test_one_missing_answer_leaves_it_undecided_with_its_reason():
    made = sealed.fingerprint(count=8)
    verdict = run(made, {3: EndpointError("the server answered 503")})
    assert verdict.outcome is Outcome.UNDECIDED
    assert verdict.reason == (
        "1 of 8 samples gave no clear answer: sample 3: the server answered 503"
    )
    assert (len(verdict.evidence), verdict.count(Finding.AGREES)) == (8, 7)


@pytest.mark.parametrize("depth", Depth)
def test_a_dead_server_is_asked_three_times_and_no_further(depth):
    made = sealed.fingerprint(count=8)
    verdict = run(made, {"any": EndpointError("connection refused")}, depth=depth)
    assert (verdict.outcome, len(verdict.evidence)) == (Outcome.UNDECIDED, 3)
    assert verdict.reason.startswith(
        "3 of 8 samples gave no clear answer, and 5 were not asked since 3 times in a row no "
        "answer came: sample "
    )
    assert verdict.reason.endswith(": connection refused")


VALUES = np.full((1, 5), 0.2)
JUNK = {
    "nothing": None.__class__,
    "a list": [3],
    "an unknown label": labels(5),
    "a negative label": labels(-1),
    "a huge label": unchecked(labels=np.array([[2**64 - 1]], np.uint64)),
    "no row": unchecked(labels=np.zeros((0, 1), int)),
    "two rows": unchecked(labels=np.zeros((2, 1), int)),
    "no label": unchecked(labels=np.zeros((1, 0), int)),
    "too many labels": unchecked(labels=np.zeros((1, 6), int)),
    "a flat row": unchecked(labels=np.zeros(1, int)),
    "labels with a fraction": unchecked(labels=np.array([[3.0]])),
    "labels as text": unchecked(labels=np.array([["3"]])),
    "labels in a list": unchecked(labels=[[3]]),
    "objects": unchecked(labels=np.array([[None]])),
    "no parts": unchecked(),
    "no kind": unchecked(kind=None, values=VALUES),
    "labels as scores": unchecked(kind=Kind.SCORES, labels=np.array([[3]])),
    "scores that are missing": unchecked(kind=Kind.SCORES),
    "too few scores": Answers(kind=Kind.SCORES, values=VALUES[:, :4]),
    "too many scores": Answers(kind=Kind.SCORES, values=np.zeros((1, 6))),
    "scores of two inputs": Answers(kind=Kind.SCORES, values=np.zeros((2, 5))),
    "whole scores": unchecked(kind=Kind.SCORES, values=np.zeros((1, 5), int)),
    "values of other labels": unchecked(labels=np.array([[3]]), values=VALUES),
    "NaN": Answers(kind=Kind.SCORES, values=np.full((1, 5), np.nan)),
    "NaN beside a label": Answers(
        kind=Kind.LABELS, labels=np.array([[3]]), values=np.array([[np.nan]])
    ),
    "infinity": Answers(kind=Kind.SCORES, values=np.full((1, 5), np.inf)),
    "no answer": EndpointError("timeout"),
}


@pytest.mark.parametrize("spec", sealed.SPECS, ids=str)
@pytest.mark.parametrize("answer", JUNK.values(), ids=JUNK.keys())
def test_what_is_no_answer_is_unclear_whatever_is_compared(spec, answer):
    verdict = run(sealed.fingerprint(spec=spec, count=2), {1: answer})
    assert verdict.outcome is Outcome.UNDECIDED
    (entry,) = (entry for entry in verdict.evidence if entry.sample == 1)
    assert (entry.finding, entry.shown) == (Finding.UNCLEAR, "")
    assert entry.reason


@pytest.mark.parametrize(
    ("spec", "answer"),
    [
        (TopLabels(2), labels(3)),
        (TopLabels(2), labels(3, 3)),
        (TopLabels(), Answers(kind=Kind.PROBABILITIES, values=VALUES)),
        (TopProbabilities(1, 2), labels(3)),
        (Probabilities(2), labels(3)),
        (Probabilities(2), Answers(kind=Kind.PROBABILITIES, values=2 * VALUES)),
        (RawScores(1.0), labels(3)),
    ],
)
def test_an_answer_that_does_not_hold_what_is_compared_is_unclear(spec, answer):
    verdict = run(sealed.fingerprint(spec=spec, count=1), {0: answer})
    assert verdict.outcome is Outcome.UNDECIDED


@pytest.mark.parametrize(
    ("spec", "outcome"),
    [
        # The two highest scores are equal, so that labels have no order.
        (TopLabels(), Outcome.UNDECIDED),
        (TopLabels(3), Outcome.UNDECIDED),
        (TopProbabilities(2, 3), Outcome.UNDECIDED),
        (Probabilities(4), Outcome.TAMPERED),
        (RawScores(0.25), Outcome.TAMPERED),
    ],
    ids=str,
)
def test_the_largest_numbers_that_there_are_can_be_compared(spec, outcome):
    largest = np.array([[1.0, -1.0, 1.0, -1.0, 0.5]]) * np.finfo(float).max
    answer = Answers(kind=Kind.SCORES, values=largest)
    assert run(sealed.fingerprint(spec=spec, count=1), {0: answer}).outcome is outcome


@pytest.mark.parametrize(
    ("spec", "answer", "expected", "shown"),
    [
        (TopLabels(2), labels(0, 1), "cat, bee", "ant, bee"),
        (
            TopProbabilities(1, 2),
            Answers(kind=Kind.LABELS, labels=np.array([[0]]), values=np.array([[0.5]])),
            "cat: 0.33",
            "ant: 0.5",
        ),
        (
            Probabilities(1),
            Answers(kind=Kind.PROBABILITIES, values=np.array([[0.1, 0.3, 0.3, 0.3, 0.0]])),
            "elk: 0.1, dog: 0.2, bee: 0.3, …",
            "elk: 0, dog: 0.3, bee: 0.3, …",
        ),
    ],
    ids=str,
)
def test_evidence_tells_expected_and_shown_with_class_names(spec, answer, expected, shown):
    made = sealed.fingerprint(spec=spec, count=1, names=NAMES)
    (entry,) = run(made, {0: answer}).evidence
    assert (entry.finding, entry.expected, entry.shown) == (Finding.DIFFERS, expected, shown)
