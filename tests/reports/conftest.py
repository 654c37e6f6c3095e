"""Summaries of an evaluation: one with everything in it, and poor ones."""

import numpy as np
import pytest
from evaluated import everything, samples, trial

from modelseal.evaluation.adversary.detectors import separate
from modelseal.evaluation.metrics import summarise
from modelseal.evaluation.results import Suspicion


@pytest.fixture(scope="session")
def whole():
    methods = ("boundary", "natural", "ascent", "ibsf:float")
    sets, trials = everything(methods, seeds=1, size=24, bags=3)
    kept = [each for each in trials if each.level is None or each.name in {"noise", "bit"}]
    scores = np.linspace(0.2, 2.0, 10)
    suspicion = Suspicion(
        subject=sets[0].subject,
        separations=(separate("noise level", scores, np.linspace(0.0, 1.0, 40)),),
        detector="noise level",
        tried=tuple(range(10)),
        scores=tuple(scores.tolist()),
    )
    (found,) = summarise(sets, kept, [suspicion], samples=3)
    return found


@pytest.fixture(scope="session")
def poor():
    """Summaries in which something is missing: natural images, trials, alarms, whole samples."""
    refused = trial("", reason="it did <b>not</b> take | at all")
    dots = samples(margins=(0.0, 1.0, float("inf"), 2.0), moves=(0.0, 0.0, 1e-6, float("inf")))
    none = samples(psnr=(), margins=(), moves=(), picks={"manc": ()})
    graded = [trial("1010", name="noise", level=level) for level in (0.0, 1.0)]
    return tuple(
        summarise([given], trials)[0]
        for given, trials in (
            (samples(alarms={}, picks={}), []),
            (dots, [refused]),
            (none, []),
            (samples(), graded),
            (samples("odd:float"), [trial("1111", "odd:float")]),
        )
    )
