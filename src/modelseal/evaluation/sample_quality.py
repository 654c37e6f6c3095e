"""What samples are by themselves: how close, how quiet and how dear."""

from dataclasses import dataclass

import numpy as np

from modelseal.evaluation.results import SampleSet
from modelseal.intervals import Bound, bound_above


@dataclass(frozen=True, kw_only=True, slots=True)
class Alarms:
    """False alarms of one method's samples in harmless variants.

    Args:
        method: Who made the samples.
        variant: The variant; empty for all of them together.
        alarms: Answers other than the sealed network's.
        answers: How many were compared.
        bound: What the share of alarms is at most.
    """

    method: str
    variant: str
    alarms: int
    answers: int
    bound: Bound


@dataclass(frozen=True, kw_only=True, slots=True)
class Quartiles:
    """Three values of a sorted row: a quarter, a half and three quarters are not above them.

    Each is one of the row's own values, so that infinite ones do no harm.
    """

    low: float
    median: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Quality:
    """What the samples of one method are, and cost.

    Args:
        method: Who made them.
        psnr: Against their natural inputs, in dB.
        margins: How far the scores of each are from another shown answer.
        moves: How far harmless variants moved each towards one, at the most.
        work: What one cost, in forward passes of one input.
    """

    method: str
    psnr: Quartiles
    margins: tuple[float, ...]
    moves: tuple[float, ...]
    work: float

    @property
    def samples(self) -> int:
        """How many there are."""
        return len(self.margins)


def count_alarms(samples: SampleSet) -> tuple[Alarms, ...]:
    """The false alarms in each harmless variant, and in all of them together.

    Each variant was asked every sample once.
    """
    size = len(samples.psnr)
    if not (size and samples.alarms):
        return ()
    counted = {**samples.alarms, "": sum(samples.alarms.values())}
    answers = {**dict.fromkeys(samples.alarms, size), "": size * len(samples.alarms)}
    return tuple(
        Alarms(
            method=samples.subject.method,
            variant=variant,
            alarms=alarms,
            answers=answers[variant],
            bound=bound_above(alarms, answers[variant]),
        )
        for variant, alarms in counted.items()
    )


def describe(samples: SampleSet) -> Quality | None:
    """What the samples are and cost; None if there are none."""
    if not samples.psnr:
        return None
    low, median, high = (
        float(value)
        for value in np.quantile(samples.psnr, [0.25, 0.5, 0.75], method="inverted_cdf")
    )
    return Quality(
        method=samples.subject.method,
        psnr=Quartiles(low=low, median=median, high=high),
        margins=samples.margins,
        moves=samples.moves,
        work=samples.work,
    )
