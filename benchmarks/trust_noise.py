"""False alarms and power over simulated deployments whose answers vary.

Nothing is faked but the network: the real `enroll` and `verify` ask endpoints that answer at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import cast

import numpy as np

from modelseal.domain import Domain
from modelseal.errors import SealingError
from modelseal.fingerprint.fingerprint import Fingerprint, Origin
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.specs import TopLabels
from modelseal.types import Array, Codes
from modelseal.verdict import Outcome, Verdict
from modelseal.verification.enrollment import ALPHA, enroll
from modelseal.verification.querier import QueryPolicy
from modelseal.verification.verify import verify

DEPLOYMENTS = 2000
SAMPLES, CLASSES = 8, 10
# Of each deployment the largest share of answers that noise changes is drawn up to this: beyond
# it, too few samples are steady for 30 repeats.
NOISIEST = 0.25
# Simulated endpoints never fail.
AT_ONCE = QueryPolicy(retries=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """Answers each sample as expected, but for noise and for what was changed.

    Args:
        fingerprint: Whose samples it answers.
        noise: The probability of another answer to each sample.
        generator: The source of noise.
        changed: The labels that it answers in place of the expected ones, by sample.
    """

    fingerprint: Fingerprint
    noise: Array
    generator: np.random.Generator
    changed: Mapping[int, int] = field(default_factory=dict)

    def ask(self, codes: Codes) -> Answers:
        """Answers one sample, which says its own number in its one value."""
        number = int(codes[0, 0])
        label = self.changed.get(number, expected_label(self.fingerprint, number))
        if self.generator.random() < self.noise[number]:
            label = (label + 1 + int(self.generator.integers(CLASSES - 1))) % CLASSES
        return Answers(kind=Kind.LABELS, labels=np.array([[label]]))


def noise_figures(*, deployments: int = DEPLOYMENTS) -> dict[str, float]:
    """Enrols and verifies noisy and deterministic deployments, untampered and with one change.

    Args:
        deployments: How many of each there are.

    Returns:
        Figures by name: how many deployments there were, how many untampered ones raised an
        alarm and were not decided, the share of
        their answers that differed, the share of those with one changed sample that was found, and
        the median numbers of questions to a verdict.
    """
    generator = np.random.default_rng(20)
    noisy = [check_noisy(generator) for _ in range(deployments)]
    quiet = [check(np.zeros(SAMPLES), generator) for _ in range(deployments)]
    return {
        "trust.noisy_deployments": float(deployments),
        "trust.noisy_alpha": ALPHA,
        "trust.noisy_false_alarms": count(Outcome.TAMPERED, [each.same for each in noisy]),
        "trust.noisy_undecided": count(Outcome.UNDECIDED, [each.same for each in noisy]),
        "trust.noisy_differing": share_differing([each.same for each in noisy]),
        "trust.noisy_power": count(Outcome.TAMPERED, [each.other for each in noisy]) / deployments,
        "trust.noisy_missed": count(Outcome.INTACT, [each.other for each in noisy]),
        "trust.queries_intact": middle(Outcome.INTACT, [each.same for each in noisy]),
        "trust.queries_tampered": middle(Outcome.TAMPERED, [each.other for each in noisy]),
        "trust.deterministic_deployments": float(deployments),
        "trust.deterministic_false_alarms": count(Outcome.TAMPERED, [each.same for each in quiet]),
        "trust.deterministic_queries_intact": middle(Outcome.INTACT, [each.same for each in quiet]),
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """The verdicts on one deployment.

    Args:
        same: As it was enrolled.
        other: With one of its samples answered otherwise.
    """

    same: Verdict
    other: Verdict


def check_noisy(generator: np.random.Generator) -> Checked:
    """Checks a deployment with noise of its own, the first that can be enrolled."""
    while True:
        # Most samples have little noise and few have much, up to a largest share of its own.
        noise = generator.uniform(0, NOISIEST) * generator.beta(0.5, 2.0, SAMPLES)
        try:
            return check(noise, generator)
        except SealingError:
            continue


def check(noise: Array, generator: np.random.Generator) -> Checked:
    """Enrols a deployment, and verifies it as it is and with one sample changed.

    Raises:
        SealingError: It is not steady enough to be enrolled.
    """
    made = make_fingerprint(generator)
    trusted = Deployment(fingerprint=made, noise=noise, generator=generator)
    enrolled = enroll(made, trusted, generator=generator, policy=AT_ONCE)
    row = int(generator.integers(len(enrolled)))
    number, label = int(enrolled.samples[row, 0]), expected_label(enrolled, row)
    changed = Deployment(
        fingerprint=made,
        noise=noise,
        generator=generator,
        changed={number: (label + 1) % CLASSES},
    )
    return Checked(
        same=verify(enrolled, trusted, generator=generator, policy=AT_ONCE),
        other=verify(enrolled, changed, generator=generator, policy=AT_ONCE),
    )


def expected_label(fingerprint: Fingerprint, row: int) -> int:
    """The label that is expected of one sample."""
    return int(cast(Array, fingerprint.expected.labels)[row, 0])


def make_fingerprint(generator: np.random.Generator) -> Fingerprint:
    """A fingerprint whose samples hold nothing but their own numbers."""
    labels = generator.integers(CLASSES, size=(SAMPLES, 1))
    return Fingerprint(
        domain=Domain(shape=(1,)),
        spec=TopLabels(),
        classes=CLASSES,
        samples=np.arange(SAMPLES, dtype=np.uint8)[:, None],
        expected=Answers(kind=Kind.LABELS, labels=labels),
        margins=np.ones(SAMPLES),
        moves=np.zeros(SAMPLES),
        factor=3.0,
        psnr=np.full(SAMPLES, 48.0),
        sources=np.arange(SAMPLES),
        origin=ORIGIN,
    )


ORIGIN = Origin(
    method="simulated",
    parameters={},
    seed=0,
    weights_digest="sha256:" + 64 * "0",
    packages={},
    created="2026-11-26T00:00:00Z",
    variants=(),
    harmless_answers=0,
)


def count(outcome: Outcome, verdicts: list[Verdict]) -> float:
    """How many verdicts have this outcome."""
    return float(sum(verdict.outcome is outcome for verdict in verdicts))


def share_differing(verdicts: list[Verdict]) -> float:
    """The share of all answers that differed from the enrolled ones."""
    tallies = [entry.tally for verdict in verdicts for entry in verdict.evidence if entry.tally]
    return sum(tally.differs for tally in tallies) / sum(tally.asked for tally in tallies)


def middle(outcome: Outcome, verdicts: list[Verdict]) -> float:
    """The median number of questions to a verdict of this outcome; nan if there is none."""
    asked = [
        verdict.statistics.queries
        for verdict in verdicts
        if verdict.outcome is outcome and verdict.statistics
    ]
    return float(median(asked)) if asked else float("nan")


if __name__ == "__main__":
    for name, value in noise_figures().items():
        print(f"{name}: {value:g}")
