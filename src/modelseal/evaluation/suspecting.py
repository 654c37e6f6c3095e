"""Lets a provider's detectors tell the samples of one subject from natural inputs."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modelseal.evaluation.opening import NetworkFiles, open_network, view
from modelseal.evaluation.places import arrays_file
from modelseal.evaluation.spotting import ALONE, FEWEST, Material, spot
from modelseal.evaluation.storing import read_arrays
from modelseal.evaluation.trial import Subject, Suspicion

# Of so many values of natural inputs several copies fit into memory: 445 images at 224 x 224.
VALUES = 2**26


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
    room = max(VALUES // naturals[0].size, FEWEST)
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
