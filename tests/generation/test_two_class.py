import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from modelseal.domain import Domain
from modelseal.generation.baselines.two_class import two_class
from modelseal.generation.gaps import score

LINE = Domain(shape=(5,), bounds=(-100.0, 100.0), levels=0)


def linear(seed, classes=4):
    """A linear network of five values in float64, and its weights and biases."""
    source = torch.Generator().manual_seed(seed)
    network = nn.Linear(5, classes).double().requires_grad_(requires_grad=False)
    network.weight.data = torch.randn(classes, 5, generator=source).double()
    network.bias.data = torch.randn(classes, generator=source).double()
    return network.eval()


def nearest_boundary(network, one):
    """The nearest boundary of one input in a linear network, one class at a time."""
    weight, scores = network.weight, network(one)
    own = int(scores.argmax())
    ends = []
    for other in range(len(weight)):
        if other != own:
            normal = weight[own] - weight[other]
            lead = scores[own] - scores[other]
            ends.append(one - lead / (normal @ normal) * normal)
    return min(ends, key=lambda end: float((end - one).norm()))


def leads(network, samples):
    """The scores of each sample below its highest."""
    ordered = score(network, samples).sort(dim=1, descending=True).values
    return ordered[:, :1] - ordered[:, 1:]


@settings(max_examples=40)
@given(st.integers(0, 10**6))
def test_in_a_linear_network_the_nearest_point_of_the_boundary_is_found(seed):
    network = linear(seed)
    start = torch.randn(3, 5, generator=torch.Generator().manual_seed(seed)).double()
    found = two_class(network, start, domain=LINE)
    for one, sample in zip(start, found, strict=True):
        torch.testing.assert_close(sample, nearest_boundary(network, one), rtol=0.0, atol=1e-5)


def test_exactly_two_classes_tie_and_the_own_one_is_of_them(network, images, domain):
    found = two_class(network, images, domain=domain)
    before, after = leads(network, images), leads(network, found)
    assert (after[:, 0] < 1e-4 * before[:, 0]).all()
    assert (after[:, 1] > 100 * after[:, 0]).all()
    own = score(network, images).argmax(1, keepdim=True)
    scores = score(network, found)
    # The label stays, up to the rounding of the scores.
    assert (scores.gather(1, own)[:, 0] > scores.amax(1) - 1e-6).all()
    assert domain.clamp(found).equal(found)


def test_the_nearest_of_several_boundaries_is_taken_even_if_its_class_is_not_the_second():
    network = nn.Linear(2, 3, bias=False).requires_grad_(requires_grad=False)
    network.weight.data = torch.tensor([[0.0, 0.0], [0.1, 0.0], [0.0, 10.0]])
    network = nn.Sequential(network)
    network.append(nn.Linear(3, 3).requires_grad_(requires_grad=False))
    network[1].weight.data = torch.eye(3)
    network[1].bias.data = torch.tensor([2.0, 1.5, 0.0])
    # The second class is half a point behind, five units away; the third two, a fifth of a unit.
    plane = Domain(shape=(2,), bounds=(-10.0, 10.0), levels=0)
    found = two_class(network, torch.zeros(1, 2), domain=plane)
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.2]]), rtol=0.0, atol=1e-5)


def test_an_input_that_no_step_takes_across_comes_as_near_as_the_bounds_allow():
    network = nn.Linear(1, 2).requires_grad_(requires_grad=False)
    network.weight.data, network.bias.data = torch.tensor([[1.0], [0.0]]), torch.tensor([0.0, -1.0])
    # The label changes below -1, the bounds end at 0.
    unit = Domain(shape=(1,), bounds=(0.0, 1.0), levels=0)
    found = two_class(network, torch.tensor([[0.5]]), domain=unit)
    assert float(found) == pytest.approx(0.0, abs=1e-6)


def test_a_network_that_its_input_does_not_matter_to_leaves_it():
    network = nn.Linear(2, 3).requires_grad_(requires_grad=False)
    network.weight.data, network.bias.data = torch.zeros(3, 2), torch.tensor([900.0, 0.0, -900.0])
    plane = Domain(shape=(2,), bounds=(0.0, 1.0), levels=0)
    start = torch.rand(2, 2)
    assert torch.equal(two_class(network, start, domain=plane), start)


def test_each_halving_halves_what_is_left_of_the_last_step():
    network, start = linear(7), torch.zeros(1, 5).double()
    end = nearest_boundary(network, start[0])
    step = 1.02 * float(end.norm())
    for halvings in (1, 4, 9):
        found = two_class(network, start, domain=LINE, halvings=halvings)
        assert 0 <= float((end - found[0]).norm()) <= step * 2.0**-halvings


def test_real_images_reach_the_boundary_of_a_real_network(resnet20, photos):
    start = photos[0][:4]
    found = two_class(resnet20.network, start, domain=resnet20.domain)
    before, after = (leads(resnet20.network, each)[:, 0] for each in (start, found))
    assert (after < 1e-3).all()
    assert (before > 0.1).all()
    # A grey level or two on average, where the published loops take up to ten.
    assert ((found - start).square().flatten(1).mean(1).sqrt() * 255 < 2).all()
