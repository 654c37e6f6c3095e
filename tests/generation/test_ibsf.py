from math import exp, log

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from modelseal.domain import Domain
from modelseal.generation.baselines.ibsf import Gradients, IbsfSettings, ibsf, top_entropy
from modelseal.generation.gaps import score

LINE = Domain(shape=(6,), bounds=(0.0, 1.0), levels=0)


@pytest.fixture
def headed():
    """A smooth network of four classes for six values, in float64."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        network = nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 4))
    network[2].weight.data.mul_(4)
    return network.double().eval().requires_grad_(requires_grad=False)


@pytest.fixture
def points():
    return torch.rand(3, 6, generator=torch.Generator().manual_seed(6)).double()


def slow_entropy(row, classes):
    """The entropy of the highest probabilities of one list of scores, one class at a time."""
    total = sum(exp(one - max(row)) for one in row)
    highest = sorted((exp(one - max(row)) / total for one in row), reverse=True)[:classes]
    return -sum(one * log(one) for one in highest if one > 0)


def by_hand(network, start, settings):
    """The loop for one input in plain formulas; whatever it would return, and all it met."""
    x, total, mean, square, seen = start.clone(), 0.0, 0.0, 0.0, []
    for step in range(1, settings.iterations + 1):
        variable = x.clone().requires_grad_()
        p = network(variable[None])[0].softmax(0).sort(descending=True).values
        loss = (p[: settings.classes] * p[: settings.classes].log()).sum()
        seen.append((float(loss.detach()), x))
        gradient = torch.autograd.grad(loss, variable)[0]
        total = total + gradient if settings.gradients is Gradients.SUMMED else gradient
        mean, square = 0.9 * mean + 0.1 * total, 0.999 * square + 0.001 * total**2
        direction = mean / (1 - 0.9**step) / ((square / (1 - 0.999**step)).sqrt() + 1e-8)
        x = x - settings.learning_rate * direction
        change = x - start
        x = start + change * min(1.0, settings.radius / float(change.norm()))
        x = x.clamp(0, 1)
    return min(seen, key=lambda each: each[0])[1], seen


@given(
    st.lists(st.floats(-50, 50), min_size=2, max_size=6),
    st.integers(2, 8),
)
def test_the_entropy_is_that_of_the_highest_probabilities(row, classes):
    found = top_entropy(torch.tensor([row], dtype=torch.float64), classes=classes)
    assert float(found[0]) == pytest.approx(slow_entropy(row, classes), rel=1e-9, abs=1e-12)


def test_probabilities_that_are_nothing_in_float_count_nothing_and_have_a_gradient():
    scores = torch.tensor([[300.0, 0.0, -300.0]]).requires_grad_()
    entropy = top_entropy(scores, classes=3)
    assert entropy.tolist() == [0.0]
    assert torch.autograd.grad(entropy.sum(), scores)[0].isfinite().all()


@pytest.mark.parametrize("gradients", Gradients)
@pytest.mark.parametrize(("rate", "classes"), [(0.02, 4), (1.0, 2), (1.0, 9)])
def test_the_batched_loop_is_the_naive_one_of_each_input(headed, points, gradients, rate, classes):
    settings = IbsfSettings(
        iterations=12, learning_rate=rate, radius=0.4, classes=classes, gradients=gradients
    )
    found = ibsf(headed, points, domain=LINE, settings=settings)
    for start, one in zip(points, found, strict=True):
        wanted, _ = by_hand(headed, start, settings)
        torch.testing.assert_close(one, wanted, rtol=1e-7, atol=1e-7)
    assert (found != points).any(dim=1).all()


@settings(max_examples=40)
@given(
    st.integers(0, 10**6),
    st.sampled_from([1e-2, 1.0, 50.0]),
    st.sampled_from([0.05, 0.5, 3.0]),
    st.sampled_from([(0.0, 1.0), (-2.0, 3.0)]),
)
def test_the_ball_and_the_bounds_hold(seed, rate, radius, bounds):
    domain = Domain(shape=(5,), bounds=bounds, levels=0)
    source = torch.Generator().manual_seed(seed)
    weight = torch.randn(5, 3, generator=source)
    start = torch.rand(2, 5, generator=source) * domain.span + bounds[0]
    network = nn.Linear(5, 3).requires_grad_(requires_grad=False)
    network.weight.data = weight.T
    settings = IbsfSettings(iterations=6, learning_rate=rate, radius=radius)
    found = ibsf(network, start, domain=domain, settings=settings)
    assert (found >= bounds[0]).all()
    assert (found <= bounds[1]).all()
    assert ((found - start).norm(dim=1) <= radius * domain.span * (1 + 1e-5)).all()
    before, after = (top_entropy(score(network, x), classes=3) for x in (start, found))
    assert (after >= before - 1e-5).all()
