import numpy as np
import pytest

from modelseal.evaluation.trials import changed_answers, largest_change
from modelseal.outputs.specs import Probabilities, RawScores, TopLabels, TopProbabilities

NAN, INF = np.nan, np.inf
BEFORE = np.array([[3.0, 1.0, 0.0], [0.0, 2.0, 1.0], [1.0, 0.0, 5.0]], np.float32)


def test_an_answer_changed_if_another_label_is_highest():
    after = np.array([[3.0, 4.0, 0.0], [0.0, 2.0, 1.9], [5.1, 0.0, 5.0]], np.float32)
    assert changed_answers(TopLabels(), BEFORE, after).tolist() == [True, False, True]
    assert changed_answers(TopLabels(2), BEFORE, after).tolist() == [True, False, True]


@pytest.mark.parametrize(
    "row", [[NAN, 9.0, 0.0], [1.0, NAN, 3.0], [NAN, NAN, NAN], [-INF, 1.0, INF], [2.0, 1.0, -INF]]
)
def test_a_label_of_scores_that_are_not_finite_is_that_of_argmax(row):
    after = np.array([row], np.float32)
    shown = int(np.argmax(after[0]))
    for label in range(3):
        before = np.eye(3, dtype=np.float32)[[label]]
        assert changed_answers(TopLabels(), before, after).tolist() == [shown != label]


@pytest.mark.parametrize("spec", [Probabilities(3), TopProbabilities(2, 3), RawScores(0.5)])
def test_numbers_that_are_not_finite_are_no_detection(spec):
    after = BEFORE.copy()
    after[0, 0], after[1] = NAN, after[1] + np.array([5.0, 0.0, -5.0], np.float32)
    assert changed_answers(spec, BEFORE, after).tolist() == [False, True, False]
    assert not changed_answers(spec, BEFORE, np.full_like(BEFORE, INF)).any()


def test_the_largest_change_is_exact_and_infinite_where_a_score_is_not_finite():
    after = BEFORE.copy()
    assert largest_change(BEFORE, after) == 0
    after[2, 1] -= 0.25
    after[0, 0] += 0.125
    assert largest_change(BEFORE, after) == 0.25
    after[1, 1] = NAN
    assert largest_change(BEFORE, after) == INF
