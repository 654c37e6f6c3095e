import numpy as np
import pytest
import torch
from torch import nn

from modelseal.domain import Domain
from modelseal.generation.gaps import differentiate_gaps, measure_gaps, rank, score
from modelseal.generation.ties import FLOAT_TOLERANCE, shortest_change, tie

WIDE = Domain(shape=(20,), bounds=(-1e3, 1e3), levels=0)


@pytest.fixture
def line():
    """A linear network of 20 values and 5 classes, its input and its ranking."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = nn.Linear(20, 5).requires_grad_(requires_grad=False)
        start = torch.randn(3, 20)
    return network, start, rank(score(network, start), tied=4)


@pytest.mark.parametrize("aim", [0.0, 0.3])
def test_of_all_inputs_with_these_gaps_the_nearest_is_found(line, aim):
    network, start, ranking = line
    found = tie(network, start, ranking, domain=WIDE, aim=torch.full((3,), aim))
    weight = network.weight.double().numpy()
    gaps = measure_gaps(score(network, start), ranking).double().numpy()
    for number, classes in enumerate(ranking.classes.tolist()):
        rows = weight[classes[0]] - weight[classes[1:]]
        shortest = np.linalg.lstsq(rows, aim - gaps[number], rcond=None)[0]
        np.testing.assert_allclose((found - start)[number], shortest, atol=1e-4)


def test_two_gaps_with_the_same_gradient_make_no_step_explode():
    jacobian = torch.randn(1, 1, 30, generator=torch.Generator().manual_seed(3)).expand(-1, 2, -1)
    change = shortest_change(jacobian, torch.tensor([[0.1, 0.1]]), domain=WIDE)
    torch.testing.assert_close(jacobian[0] @ change[0], torch.full((2,), -0.1), rtol=0, atol=1e-3)
    assert change.norm() < 0.1


@pytest.mark.parametrize("shown", [1, 2, 3])
@pytest.mark.parametrize("aim", [0.0, 0.02, 0.2])
def test_all_gaps_reach_their_aim_as_near_as_levels_allow(smooth, images, domain, shown, aim):
    # Away from the bounds, where every value is free to move.
    images = 0.25 + images / 2
    ranking = rank(score(smooth, images), tied=5, shown=shown)
    found = tie(smooth, images, ranking, domain=domain, aim=torch.full((4,), aim))
    gaps = measure_gaps(score(smooth, found), ranking)
    before = measure_gaps(score(smooth, images), ranking)
    # Rounding by the spread of a uniform error moves a gap by that much times its slope.
    slopes = differentiate_gaps(smooth, found, ranking)[1].norm(dim=2)
    reach = slopes / 255 / 12**0.5
    assert ((gaps - aim).abs() <= 1.01 * reach + 2 * FLOAT_TOLERANCE).all()
    assert ((before - aim).abs() > 2 * reach).any(dim=1).all()


def test_each_input_has_an_aim_of_its_own_and_is_moved_by_itself(smooth, images):
    domain = Domain(shape=(3, 8, 8), bounds=(0.0, 1.0), levels=0)
    ranking, aim = rank(score(smooth, images), tied=3), torch.tensor([0.0, 0.1, 0.2, 0.3])
    found = tie(smooth, images, ranking, domain=domain, aim=aim)
    gaps = measure_gaps(score(smooth, found), ranking)
    torch.testing.assert_close(gaps, aim[:, None].expand(-1, 2), rtol=0.0, atol=1e-4)
    for number in range(4):
        row = torch.tensor([number])
        alone = tie(smooth, images[row], ranking.take(row), domain=domain, aim=aim[row])
        torch.testing.assert_close(alone[0], found[number], rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (0.45, 0.55)])
def test_no_value_leaves_the_bounds(smooth, images, bounds):
    domain = Domain(shape=(3, 8, 8), bounds=bounds, levels=256)
    start = domain.clamp(9 * (images - 0.5))
    ranking = rank(score(smooth, start), tied=6)
    found = tie(smooth, start, ranking, domain=domain, aim=torch.zeros(4))
    assert not torch.equal(found, start)
    assert found.min() >= start.new_tensor(bounds[0])
    assert found.max() <= start.new_tensor(bounds[1])


def test_real_images_tie_for_a_few_grey_levels(resnet20, photos):
    start = photos[0][:4]
    ranking = rank(score(resnet20.network, start), tied=10)
    found = tie(resnet20.network, start, ranking, domain=resnet20.domain, aim=torch.zeros(4))
    gaps = measure_gaps(score(resnet20.network, found), ranking)
    spread = 255 * (found - start).square().flatten(1).mean(1).sqrt()
    # Rounding moves the gaps of this network by about a tenth.
    assert (gaps.abs().amax(1) < 0.3).all()
    assert (spread < 5).all()
