"""Lets a provider's detectors tell the samples of one subject from natural inputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.adversary.routing import (
    breaking_share,
    count_noticing,
    power_of,
    power_of_routing,
)
from modelseal.evaluation.adversary.spotting import ALONE, FEWEST, Material, spot
from modelseal.evaluation.inputs import NetworkFiles, open_network, view
from modelseal.evaluation.responses import Responses, is_graded
from modelseal.evaluation.results import Subject, Suspicion, arrays_file
from modelseal.evaluation.roc import Separation
from modelseal.evaluation.store import read_arrays
from modelseal.types import Mask

# Of so many values of natural inputs several copies fit into memory: 445 images at 224 x 224.
VALUES_AT_ONCE = 2**26


@dataclass(frozen=True, kw_only=True, slots=True)
class SpottingTask:
    """The samples of one subject, to be told from natural inputs.

    Args:
        subject: Whose samples.
        files: Its network.
        folder: Where results are.
        naturals: How many other natural inputs are used.
        seed: Of all random numbers.
    """

    subject: Subject
    files: NetworkFiles
    folder: Path
    naturals: int
    seed: int

    def __str__(self) -> str:
        one = self.subject
        return f"spotting samples of {one.method} for {one.network}, {one.spec}"


def suspect_samples(task: SpottingTask) -> Suspicion:
    """How well every detector tells the samples from test inputs that none was made of.

    Raises:
        ModelsealError: The samples cannot be read, or the inputs are no images.
    """
    model, naturals = view(open_network(task.files), task.subject.method)
    arrays = read_arrays(arrays_file(task.folder, task.subject))
    generator = np.random.default_rng(task.seed)
    others = np.setdiff1d(np.arange(len(naturals)), arrays["sources"])
    room = max(VALUES_AT_ONCE // naturals[0].size, FEWEST)
    drawn = generator.permutation(others)[: min(task.naturals, room)]
    if min(len(arrays["samples"]), len(drawn)) < FEWEST:
        return nothing(task.subject, samples=len(arrays["samples"]), naturals=len(drawn))
    found = spot(
        Material(
            domain=model.domain,
            samples=arrays["samples"],
            sources=naturals[arrays["sources"]],
            naturals=naturals[drawn],
        ),
        generator=generator,
    )
    best = max((found.separations[name] for name in ALONE), key=lambda each: each.auc)
    return Suspicion(
        subject=task.subject,
        separations=tuple(found.separations.values()),
        detector=best.detector,
        tried=tuple(np.flatnonzero(found.tried).tolist()),
        scores=tuple(found.scores[best.detector].tolist()),
    )


def nothing(subject: Subject, *, samples: int, naturals: int) -> Suspicion:
    """That there was too little to tell apart."""
    return Suspicion(
        subject=subject,
        separations=(),
        detector="",
        tried=(),
        scores=(),
        reason=f"{FEWEST} samples and other natural inputs are needed, but there are {samples} and "
        f"{naturals}",
    )


COUNTS = (1, 8, 16, 32, 64)
"""How many samples a set has, as far as there are so many."""

STEPS = 20
"""Shares of queries are multiples of one in so many."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """How well one detector tells one method's samples from natural inputs.

    Args:
        method: Who made the samples.
        separation: How well it does.
    """

    method: str
    separation: Separation


@dataclass(frozen=True, kw_only=True, slots=True)
class Sharing:
    """What is left of the power against a provider that answers a share of all queries cleanly.

    Over all changes of families of one, each counted once; sets are drawn at random.

    Args:
        method: Who made the samples.
        samples: How many a set has.
        powers: Pairs of a share and the power that is left.
        breaking: The largest share at which the power is still 95 %; 0 if it is so at none.
    """

    method: str
    samples: int
    powers: tuple[tuple[float, float], ...]
    breaking: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Routing:
    """What is left of the power against a provider that answers suspicious queries cleanly.

    Over the samples that the detector was tried on.

    Args:
        method: Who made the samples.
        detector: What the provider suspects by.
        false_rate: The share of natural inputs that it may take for samples.
        samples: How many a set has.
        power: What is left.
        unspotted: The power against a provider that suspects nothing.
    """

    method: str
    detector: str
    false_rate: float
    samples: int
    power: float
    unspotted: float


def list_sightings(found: Suspicion) -> tuple[Sighting, ...]:
    """How well each detector does."""
    return tuple(
        Sighting(method=found.subject.method, separation=each) for each in found.separations
    )


def measure_sharing(responses: Responses) -> tuple[Sharing, ...]:
    """The power that sharing leaves, by number of samples; nothing without a change."""
    rows = split(responses)
    if not rows:
        return ()
    shares = [step / STEPS for step in range(STEPS + 1)]
    measured = []
    for count in fitting(responses.changed.shape[1]):
        chances = np.mean([count_noticing(each.changed, count) for each in rows], axis=0)
        measured.append(
            Sharing(
                method=responses.method,
                samples=count,
                powers=tuple((share, power_of(chances, share)) for share in shares),
                breaking=breaking_share(partial(power_of, chances)),
            )
        )
    return tuple(measured)


def measure_routing(responses: Responses, found: Suspicion) -> tuple[Routing, ...]:
    """The power that routing leaves, by rate of false positives and number of samples.

    Raises:
        InvalidArgumentError: Detectors were tried on samples that do not exist.
    """
    rows, tried = split(responses), list(found.tried)
    if max(tried, default=-1) >= responses.changed.shape[1]:
        raise InvalidArgumentError(
            f"detectors need samples with numbers below {responses.changed.shape[1]}, but were "
            f"tried on {max(tried)}"
        )
    if not rows or found.reason:
        return ()
    best = next(each for each in found.separations if each.detector == found.detector)
    scores = np.array(found.scores)
    return tuple(
        Routing(
            method=responses.method,
            detector=found.detector,
            false_rate=rate.false_rate,
            samples=count,
            power=mean_routed(rows, tried, scores > rate.threshold, count),
            unspotted=mean_routed(rows, tried, np.zeros(len(tried), bool), count),
        )
        for rate in best.rates
        for count in fitting(len(tried))
    )


def mean_routed(rows: Sequence[Responses], tried: list[int], suspected: Mask, count: int) -> float:
    """The power that is left where some samples are suspected; each change counts once."""
    return float(
        np.mean([power_of_routing(each.changed[:, tried], suspected, count) for each in rows])
    )


def split(responses: Responses) -> tuple[Responses, ...]:
    """The samples with the trials of each family of one."""
    return tuple(
        responses.only(lambda trial: not is_graded(trial)).split(lambda trial: trial.name).values()
    )


def fitting(samples: int) -> tuple[int, ...]:
    """The sizes of sets that so many samples are enough for."""
    return tuple(count for count in COUNTS if count <= samples)
