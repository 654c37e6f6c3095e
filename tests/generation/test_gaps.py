from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from refusals import refuses

from modelseal.errors import InvalidArgumentError
from modelseal.generation import gaps as module
from modelseal.generation.gaps import (
    Ranking,
    best_outside,
    differentiate_gaps,
    measure_gaps,
    measure_lead,
    rank,
    score,
    split,
)
from modelseal.outputs.comparison import label_margin


@st.composite
def problems(draw):
    numbers = draw(arrays("float64", (4, 5), elements=st.integers(-50, 50), unique=True))
    return torch.from_numpy(numbers), draw(st.integers(2, 7)), draw(st.integers(1, 4))


@given(problems())
def test_a_ranking_has_the_highest_classes_best_first(problem):
    scores, tied, shown = problem
    ranking = rank(scores, tied=tied, shown=shown)
    for row, classes in zip(scores.tolist(), ranking.classes.tolist(), strict=True):
        assert classes == sorted(range(5), key=lambda c: -row[c])[:tied]
    assert ranking.shown == shown


@given(problems())
def test_gaps_are_the_differences_that_decide_what_is_shown(problem):
    scores, tied, shown = problem
    ranking = rank(scores.flip(0), tied=tied, shown=shown)
    found = measure_gaps(scores, ranking)
    for row, classes, gaps in zip(
        scores.tolist(), ranking.classes.tolist(), found.tolist(), strict=True
    ):
        z = [row[number] for number in classes]
        # Every shown class is ahead of the next, the last shown one of all the others.
        ordered = [z[j - 1] - z[j] for j in range(1, len(z)) if j <= shown]
        assert gaps == ordered + [z[shown - 1] - other for other in z[shown + 1 :]]


@pytest.mark.parametrize("shown", [1, 2, 3])
def test_the_jacobian_is_that_of_each_input_and_gap_by_itself(smooth, images, shown):
    ranking = rank(smooth(images), tied=4, shown=shown)
    gaps, jacobian = differentiate_gaps(smooth, images, ranking)
    assert jacobian.shape == (4, 3, 192)
    for number, image in enumerate(images):
        alone = ranking.take(torch.tensor([number]))
        for gap in range(3):
            variable = image[None].clone().requires_grad_()
            value = measure_gaps(smooth(variable), alone)[0, gap]
            slope = torch.autograd.grad(value, variable)[0].flatten()
            torch.testing.assert_close(jacobian[number, gap], slope)
            torch.testing.assert_close(gaps[number, gap], value.detach())


def test_pieces_change_nothing(smooth, images, monkeypatch):
    ranking = rank(smooth(images), tied=3)
    whole = (*differentiate_gaps(smooth, images, ranking), score(smooth, images))
    monkeypatch.setattr(module, "PIECE", 192 * 3)
    assert [len(rows) for rows in split(images)] == [3, 1]
    pieces = (*differentiate_gaps(smooth, images, ranking), score(smooth, images))
    for one, other in zip(whole, pieces, strict=True):
        torch.testing.assert_close(one, other)
    monkeypatch.setattr(module, "PIECE", 1)
    assert [rows.tolist() for rows in split(images)] == [[0], [1], [2], [3]]


def test_scores_carry_no_graph_and_weights_get_no_gradients(smooth, images):
    smooth.requires_grad_()
    scores = score(smooth, images.requires_grad_())
    assert not scores.requires_grad
    torch.testing.assert_close(scores, smooth(images).detach())
    differentiate_gaps(smooth, images, rank(scores, tied=3))
    assert all(weight.grad is None for weight in smooth.parameters())
    assert images.grad is None


@given(problems())
def test_the_best_class_outside_a_tie_is_the_highest_that_the_tie_has_not(problem):
    scores, tied, shown = problem
    ranking = rank(scores.flip(0), tied=tied, shown=shown)
    found = best_outside(scores, ranking).tolist()
    for row, classes, best in zip(scores.tolist(), ranking.classes.tolist(), found, strict=True):
        others = [row[number] for number in range(5) if number not in classes]
        assert best == max(others, default=-float("inf"))


@given(problems())
def test_the_lead_of_the_classes_that_stand_first_is_the_margin_of_the_shown_labels(problem):
    scores, tied, shown = problem
    ranking = rank(scores, tied=max(tied, shown + 1), shown=shown)
    margin = label_margin(scores.numpy(), shown)
    assert measure_lead(scores, ranking).tolist() == pytest.approx(margin.tolist())


@pytest.mark.parametrize(("gigabytes", "times"), [(4, 1), (8, 1), (23.9, 2), (80, 10)])
def test_a_gpu_runs_as_many_at_once_as_its_memory_holds(monkeypatch, gigabytes, times):
    def tell(device):
        assert device == torch.device("cuda:1")
        return SimpleNamespace(total_memory=int(gigabytes * 2**30))

    monkeypatch.setattr(torch.cuda, "get_device_properties", tell)
    assert module.values_at_once(torch.device("cuda:1")) == times * module.PIECE
    assert module.values_at_once(torch.device("cpu")) == module.PIECE


@pytest.mark.parametrize(("tied", "shown", "field"), [(1, 1, "classes"), (2, 0, "shown")])
def test_a_tie_of_one_class_or_one_that_shows_nothing_is_refused(tied, shown, field):
    with refuses(InvalidArgumentError, field=field):
        Ranking(classes=torch.zeros(3, tied, dtype=torch.int64), shown=shown)
