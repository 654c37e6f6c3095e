from itertools import combinations, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refuses
from torch import nn

from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError
from modelseal.generation import lattice as module
from modelseal.generation.gaps import measure_gaps, rank, score
from modelseal.generation.lattice import (
    CURVATURE,
    SHORTFALL,
    best_pairs,
    dither,
    free_moves,
    matching_pursuit,
    measure_loss,
    propose_changes,
    search_lattice,
)
from modelseal.generation.ties import tie

TOP = 3


@st.composite
def problems(draw, *, pixels=6, batch=2):
    """A tiny linear problem: Jacobian, residual and level numbers from 0 to 3."""
    source = np.random.default_rng(draw(st.integers(0, 10**9)))
    size, gaps = draw(st.integers(1, pixels)), draw(st.integers(1, 3))
    return (
        torch.from_numpy(source.normal(size=(batch, gaps, size))),
        torch.from_numpy(source.normal(size=(batch, gaps)) * draw(st.sampled_from([0.3, 3.0]))),
        torch.from_numpy(source.integers(0, TOP + 1, size=(batch, size)).astype(float)),
    )


def loss_of(jacobian, residual, changes):
    """|r + J D|² + CURVATURE² Σ |J_i|² over the changed pixels, for one input."""
    left = residual + jacobian @ changes
    price = sum(float(jacobian[:, i] @ jacobian[:, i]) for i in np.flatnonzero(changes))
    return float(left @ left) + CURVATURE**2 * price


def single_changes(numbers, used):
    """Every allowed change of one more pixel by one level."""
    for pixel, sign in product(range(len(numbers)), (1, -1)):
        if 0 <= numbers[pixel] + sign <= TOP and not used[pixel]:
            yield pixel, sign


def greedy(jacobian, residual, numbers, limit):
    changes = np.zeros(len(numbers))
    for _ in range(limit):
        options = []
        for pixel, sign in single_changes(numbers, changes):
            option = changes.copy()
            option[pixel] = sign
            options.append((loss_of(jacobian, residual, option), option))
        best = min(options, key=lambda pair: pair[0], default=(np.inf, None))
        if best[0] >= loss_of(jacobian, residual, changes):
            break
        changes = best[1]
    return changes


@given(problems())
def test_pursuit_takes_the_best_single_change_as_long_as_one_helps(problem):
    jacobian, residual, numbers = problem
    changes, left = matching_pursuit(jacobian, residual, free_moves(numbers, top=TOP))
    for row in range(len(numbers)):
        one = [part[row].numpy() for part in (jacobian, residual, numbers)]
        np.testing.assert_array_equal(changes[row], greedy(*one, limit=64))
        np.testing.assert_allclose(left[row], one[1] + one[0] @ changes[row].numpy(), atol=1e-9)


@given(problems(), st.integers(1, 60))
@settings(deadline=None)
def test_the_best_pairs_of_all_are_found_best_first(problem, count):
    jacobian, residual, numbers = problem
    proposals = best_pairs(jacobian, residual, free_moves(numbers, top=TOP), count=count)
    for row in range(len(numbers)):
        matrix, rest, levels = (part[row].numpy() for part in (jacobian, residual, numbers))
        singles = list(single_changes(levels, np.zeros(len(levels))))
        pairs = [((a, s), (b, t)) for (a, s), (b, t) in combinations(singles, 2) if a != b]
        losses = []
        for chosen in [(one,) for one in singles] + pairs:
            option = np.zeros(len(levels))
            for pixel, sign in chosen:
                option[pixel] = sign
            losses.append(loss_of(matrix, rest, option))
        found = [loss_of(matrix, rest, option.numpy()) for option in proposals[row]]
        wanted = sorted(losses)[: len(found)]
        np.testing.assert_allclose(found[: len(wanted)], wanted, atol=1e-9)
        # Where there are no more options nothing is changed.
        assert not proposals[row][len(wanted) :].any()
        kinds = {tuple(option.tolist()) for option in proposals[row][: len(wanted)]}
        assert len(kinds) == len(wanted)
        moved = levels + proposals[row].numpy()
        assert moved.min() >= 0
        assert moved.max() <= TOP


@given(problems(pixels=9), st.integers(1, 40))
@settings(deadline=None)
def test_proposals_are_single_level_changes_that_stay_on_the_levels(problem, count):
    jacobian, residual, numbers = problem
    changes = propose_changes(jacobian, residual, free_moves(numbers, top=TOP), count=count)
    assert changes.shape[0] == len(numbers)
    assert 1 <= changes.shape[1] <= count
    assert set(changes.unique().tolist()) <= {-1.0, 0.0, 1.0}
    moved = numbers[:, None] + changes
    assert moved.min() >= 0
    assert moved.max() <= TOP
    added = changes[:, 1:] - changes[:, :1]
    assert (added.abs().sum(2) <= 2).all()
    # A pixel that the first proposal has moved is not moved again.
    assert not (added * (changes[:, :1] != 0)).any()


@given(problems())
def test_the_loss_is_the_squared_distance_and_more_below_the_margin(problem):
    gaps, margin = problem[0], problem[1][:, 0].abs()
    found = measure_loss(gaps, margin)
    for row, option in product(range(gaps.shape[0]), range(gaps.shape[1])):
        excess = [gap - float(margin[row]) for gap in gaps[row, option].tolist()]
        penalty = len(excess) * (SHORTFALL * float(margin[row])) ** 2
        wanted = sum(value**2 for value in excess) + (penalty if min(excess) < 0 else 0)
        assert float(found[row, option]) == pytest.approx(wanted)


@pytest.fixture
def near(smooth, images, domain):
    """Inputs near a tie, their ranking, and the margin that is wanted."""
    ranking = rank(score(smooth, images), tied=5)
    margin = torch.tensor([1e-3, 2e-3, 4e-3, 8e-3])
    return tie(smooth, images, ranking, domain=domain, aim=margin), ranking, margin


def losses(network, inputs, ranking, margin):
    gaps = measure_gaps(score(network, inputs), ranking)
    return measure_loss(gaps[:, None], margin)[:, 0]


@pytest.mark.parametrize("rounds", [(1,), (16,), (1, 4), (4, 4, 4)])
def test_results_are_on_the_levels_a_few_single_levels_from_rounding(smooth, near, domain, rounds):
    start, ranking, margin = near
    found = search_lattice(smooth, start, ranking, domain=domain, margin=margin, rounds=rounds)
    assert domain.contains(found.numpy()).all()
    assert found.shape == start.shape
    moved = domain.encode(found.numpy()).astype(int) - domain.encode(start.numpy()).astype(int)
    assert 1 <= np.abs(moved).max() <= len(rounds)
    after = losses(smooth, found, ranking, margin)
    before = losses(smooth, domain.snap(start), ranking, margin)
    assert (after < 0.5 * before).all()


@pytest.mark.parametrize("shown", [1, 2, 3])
def test_all_gaps_end_just_above_their_margin(smooth, images, domain, shown):
    ranking = rank(score(smooth, images), tied=4, shown=shown)
    margin = torch.tensor([1e-3, 2e-3, 4e-3, 8e-3])
    start = tie(smooth, images, ranking, domain=domain, aim=margin)
    found = search_lattice(smooth, start, ranking, domain=domain, margin=margin)
    gaps = measure_gaps(score(smooth, found), ranking)
    assert (gaps >= margin[:, None]).all()
    assert (gaps <= margin[:, None] + 0.01).all()


def test_more_proposals_than_there_are_options_do_no_harm():
    network = nn.Linear(1, 2, bias=False).requires_grad_(requires_grad=False)
    network.weight.data = torch.tensor([[1.0], [0.0]])
    domain = Domain(shape=(1,), bounds=(0.0, 10.0), levels=11)
    start = torch.tensor([[2.0], [10.0], [0.0]])
    ranking = rank(torch.tensor([[1.0, 0.0]] * 3), tied=2)
    margin = torch.tensor([3.5, 20.0, 0.5])
    found = search_lattice(
        network, start, ranking, domain=domain, margin=margin, rounds=(50, 50, 50)
    )
    assert found.tolist() == [[4.0], [10.0], [1.0]]


def test_a_continuous_domain_is_refused(smooth, near):
    start, ranking, margin = near
    domain = Domain(shape=(3, 8, 8), bounds=(0.0, 1.0), levels=0)
    with refuses(InvalidArgumentError):
        search_lattice(smooth, start, ranking, domain=domain, margin=margin)


@pytest.mark.parametrize("level", [0.0, 1.0, 255.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_pixels_on_a_level_stay_there_however_many_there_are(level, dtype):
    places = torch.full((1, 3 * 224 * 224), level, dtype=dtype)
    assert torch.equal(dither(places), places)


@given(st.floats(-0.3, 0.3), st.integers(0, 100))
def test_inputs_that_moved_by_less_than_levels_keep_what_they_moved_on_average(move, seed):
    source = torch.Generator().manual_seed(seed)
    levels = torch.randint(1, 250, (1, 20_000), generator=source).double()
    share = torch.rand(levels.shape, generator=source).double() * (abs(move) < 0.15)
    places = levels + move * share
    if (places - levels).square().mean().sqrt() >= module.UNEVEN:
        return
    found = dither(places)
    assert ((found - places).abs() < 1).all()
    # Any weighting of the pixels, such as a row of a Jacobian, is moved as it was to be.
    weights = torch.rand(levels.shape, generator=source).double()
    wanted, got = ((each * weights).mean() for each in (places - levels, found - levels))
    assert abs(float(got - wanted)) < 0.006


def test_a_change_below_half_a_level_survives_the_way_onto_the_levels():
    """Of a large image, whose nearest levels are those of the natural image itself."""
    source = torch.Generator().manual_seed(1)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 4))
    network[1].weight.data.normal_(0, 0.02, generator=source)
    domain = Domain(shape=(3, 64, 64), bounds=(0.0, 1.0), levels=256)
    start = domain.snap(0.25 + 0.5 * torch.rand(1, *domain.shape, generator=source))
    network[1].bias.data = torch.tensor([0.1, 0.0, 0.0, 0.0])
    network[1].bias.data -= network[1].weight.data @ start.flatten()
    network.requires_grad_(requires_grad=False)
    ranking = rank(score(network, start), tied=4)
    near = tie(network, start, ranking, domain=domain, aim=torch.zeros(1))
    assert torch.equal(domain.snap(near), start)
    margin = torch.full((1,), 1e-3)
    found = search_lattice(network, near, ranking, domain=domain, margin=margin)
    gaps = measure_gaps(score(network, found), ranking)
    assert gaps.min() > 0
    assert gaps.max() < 0.01
