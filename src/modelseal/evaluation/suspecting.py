"""Lets a provider's detectors tell the samples of one subject from natural inputs."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modelseal.evaluation.opening import NetworkFiles, open_network, view
from modelseal.evaluation.places import arrays_file
from modelseal.evaluation.spotting import ALONE, Material, spot
from modelseal.evaluation.storing import read_arrays
from modelseal.evaluation.trial import Subject, Suspicion


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
        ModelsealError: The samples cannot be read, the inputs are no images, or there are too few.
    """
    model, naturals = view(open_network(task.files), task.subject.method)
    arrays = read_arrays(arrays_file(task.folder, task.subject))
    generator = np.random.default_rng(task.seed)
    others = np.setdiff1d(np.arange(len(naturals)), arrays["sources"])
    drawn = generator.permutation(others)[: task.naturals]
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
