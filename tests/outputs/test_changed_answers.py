import numpy as np
import pytest

from modelseal.outputs.specs import (
    Probabilities,
    RawScores,
    TopLabels,
    TopProbabilities,
    changed_answers,
)

NAN, INF = np.nan, np.inf
BEFORE = np.array([[3.0, 1.0, 0.0], [0.0, 2.0, 1.0], [1.0, 0.0, 5.0]], np.float32)


def changed(spec, before, after):
    return changed_answers(spec, spec.reveal(before), after).tolist()


def test_an_answer_changed_if_another_label_is_highest():
    after = np.array([[3.0, 4.0, 0.0], [0.0, 2.0, 1.9], [5.1, 0.0, 5.0]], np.float32)
    assert changed(TopLabels(), BEFORE, after) == [True, False, True]
    assert changed(TopLabels(2), BEFORE, after) == [True, False, True]


@pytest.mark.parametrize(
    "row", [[NAN, 9.0, 0.0], [1.0, NAN, 3.0], [NAN, NAN, NAN], [-INF, 1.0, INF], [2.0, 1.0, -INF]]
)
def test_a_label_of_scores_that_are_not_finite_is_that_of_argmax(row):
    after = np.array([row], np.float32)
    for label in range(3):
        before = np.eye(3, dtype=np.float32)[[label]]
        assert changed(TopLabels(), before, after) == [int(np.argmax(after[0])) != label]


@pytest.mark.parametrize("spec", [Probabilities(3), TopProbabilities(2, 3), RawScores(0.5)])
def test_numbers_that_are_not_finite_are_no_detection(spec):
    after = BEFORE.copy()
    after[0, 0], after[1] = NAN, after[1] + np.array([5.0, 0.0, -5.0], np.float32)
    assert changed(spec, BEFORE, after) == [False, True, False]
    assert not any(changed(spec, BEFORE, np.full_like(BEFORE, INF)))
