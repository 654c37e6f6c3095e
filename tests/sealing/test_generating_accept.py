"""Which candidates are accepted."""

from math import nan

import numpy as np
import pytest

from modelseal.calibration.calibrate import Calibration
from modelseal.errors import SealingError
from modelseal.outputs.specs import Probabilities, TopLabels
from modelseal.sealing.candidates import accept
from modelseal.sealing.recipe import Method, Recipe


def calibration(margins, moves, silent=None):
    """What a calibration found, by hand."""
    count = len(margins)
    return Calibration(
        variants=("one",),
        skipped=(),
        margins=np.array(margins, float),
        moves=np.array(moves, float),
        moves_by_variant={},
        silent=np.array([True] * count if silent is None else silent),
    )


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        # The third needs 10 and has 9, the fourth was flipped, the fifth is no number; the median
        # need of the rest is 2, so that up to 20 is no failed tie, or 10 times its own need.
        ({}, [1, 1, 0, 0, 0, 1, 0, 1]),
        ({"margin": 1.5}, [0, 1, 0, 0, 0, 1, 0, 1]),
        ({"factor": 9.0}, [1, 1, 1, 0, 0, 0, 0, 1]),
        ({"factor": 3.0}, [1, 1, 1, 0, 0, 0, 0, 1]),
        ({"method": Method.NATURAL}, [1, 1, 0, 0, 0, 1, 1, 1]),
        ({"spec": Probabilities(3)}, [1, 1, 0, 0, 0, 1, 1, 1]),
        ({"spec": TopLabels(3)}, [1, 1, 0, 0, 0, 1, 0, 1]),
    ],
)
def test_accepted_is_what_has_the_margin_that_it_needs_and_not_far_more(changes, kept):
    found = calibration(
        margins=[1, 3, 9, 5, nan, 20, 21, 99],
        moves=[0.1, 0.2, 1, 0.1, nan, 0.2, 0.2, 9.9],
        silent=[True, True, True, False, True, True, True, True],
    )
    recipe = Recipe(**{"factor": 10.0, **changes})
    accepted = accept(found, recipe, naturals=np.zeros(len(kept)))
    assert accepted.tolist() == [bool(each) for each in kept]


def test_when_none_is_accepted_the_error_says_what_was_needed():
    found = calibration(margins=[0.5, nan, 0.25, 0.125], moves=[0.1, nan, 0.2, 0.3])
    problem = (
        r"^none of 4 candidates can be used: a margin of 2 is needed, but the median is 0\.25; "
        "try more candidates or other natural inputs$"
    )
    with pytest.raises(SealingError, match=problem):
        accept(found, Recipe(factor=10.0), naturals=np.zeros(4))


def test_when_none_came_near_the_tie_the_error_says_how_near_was_wanted():
    found = calibration(margins=[0.9, 25, 30, 0.5], moves=[0.1, 0.2, 0.2, 0.3])
    problem = (
        r"^none of 4 candidates came near a tie of 6 classes: a margin of at most 20 was wanted, "
        r"but the median is 13; try a tie of fewer classes: --tie, or samples.tie in a plan$"
    )
    with pytest.raises(SealingError, match=problem):
        accept(found, Recipe(tied=6, factor=10.0), naturals=np.zeros(len(found.margins)))


def test_a_wide_margin_is_accepted_if_it_is_a_small_share_of_the_natural_one():
    found = calibration(margins=[1.0, 90.0, 90.0], moves=[0.1, 0.1, 0.1])
    kept = accept(found, Recipe(factor=10.0), naturals=np.array([5.0, 8000.0, 9001.0]))
    assert kept.tolist() == [True, False, True]
