from math import inf, nan, sqrt

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from modelseal.generation.baselines.ascent import ascend, project_l2, sensitivity_objective
from modelseal.generation.image_quality import total_variation
from modelseal.generation.sensitivity import Output, last_layer_sensitivity


def stay(inputs):
    return inputs


def adam(slope, start, *, steps, rate, project=stay):
    """Adam of Kingma and Ba (2015) by its formulas, one number at a time; every iterate."""
    x, mean, square, seen = start, 0.0, 0.0, [start]
    for step in range(1, steps + 1):
        gradient = slope(x)
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        x += rate * (mean / (1 - 0.9**step)) / (sqrt(square / (1 - 0.999**step)) + 1e-16)
        x = project(x)
        seen.append(x)
    return seen


def test_the_best_iterate_is_that_of_adam_by_its_formulas():
    starts, targets = [0.1, 0.9, 0.5], [0.35, 0.2, 0.45]

    def objective(inputs):
        return -(inputs[:, 0] - inputs[:, 1]).square()

    def project(inputs):
        return torch.stack([inputs[:, 0].clamp(max=0.8), torch.tensor(targets).double()], dim=1)

    start = torch.tensor([starts, targets], dtype=torch.float64).T
    found = ascend(objective, start, project=project, steps=9, learning_rate=0.07)
    ends = []
    for one, target, best in zip(starts, targets, found[:, 0].tolist(), strict=True):
        seen = adam(
            lambda x, target=target: -2 * (x - target),
            min(one, 0.8),
            steps=9,
            rate=0.07,
            project=lambda x: min(x, 0.8),
        )
        wanted = min(seen, key=lambda x, target=target: abs(x - target))
        assert best == pytest.approx(wanted, rel=1e-6)
        ends.append(wanted == seen[-1])
    assert not all(ends)


@given(st.integers(0, 10**6), st.sampled_from([0.001, 0.1, 10.0]))
def test_the_result_is_the_best_of_all_iterates_and_inside(seed, rate):
    source = torch.Generator().manual_seed(seed)
    start, phase = torch.rand(3, 5, generator=source), torch.rand(5, generator=source)
    seen = []

    def objective(inputs):
        values = (9 * inputs + phase).sin().sum(1)
        seen.append(values.detach())
        return values

    found = ascend(objective, start, project=lambda x: x.clamp(0, 1), steps=8, learning_rate=rate)
    assert torch.equal(objective(found), torch.stack(seen).max(dim=0).values)
    assert len(seen) == 10
    assert ((found >= 0) & (found <= 1)).all()


@pytest.mark.parametrize(("threshold", "calls"), [(-1.0, 1), (0.25, 4), (0.55, 7), (inf, 11)])
def test_ascent_ends_when_every_input_has_passed_the_threshold(threshold, calls):
    # Both climb by 0.1 a step, from 0 and 0.5; the second turns to nothing later on.
    seen = []

    def objective(inputs):
        seen.append(inputs[:, 0].tolist())
        return torch.where(inputs[:, 0] > 0.85, inputs[:, 0] - 9, inputs[:, 0])

    start = torch.tensor([[0.0], [0.5]])
    ascend(objective, start, project=stay, steps=10, learning_rate=0.1, threshold=threshold)
    assert len(seen) == calls


def test_what_is_no_number_is_never_the_best():
    def objective(inputs):
        return torch.where(inputs[:, 0] > 0.3, nan, inputs[:, 0])

    start = torch.tensor([[0.0], [0.5]])
    found = ascend(objective, start, project=stay, steps=5, learning_rate=0.1)
    assert 0.15 < found[0, 0] <= 0.3
    assert found[1, 0] == 0.5


@pytest.mark.parametrize("output", list(Output))
def test_the_objective_is_sensitivity_minus_variation(smooth, images, output):
    plain = last_layer_sensitivity(smooth, images, output=output)
    assert torch.equal(sensitivity_objective(smooth, output=output)(images), plain)
    torch.testing.assert_close(
        sensitivity_objective(smooth, output=output, variation=0.7)(images),
        plain - 0.7 * total_variation(images),
    )


def test_ascent_brings_real_images_near_a_boundary(resnet20, photos):
    network, start = resnet20.network, photos[0][:4]
    objective = sensitivity_objective(network, output=Output.PROBABILITIES)
    found = ascend(objective, start, project=resnet20.domain.clamp, steps=20)
    with torch.no_grad():
        before, after = (network(x).softmax(1).amax(1) for x in (start, found))
    assert (objective(found) >= objective(start)).all()
    # Certain answers have no sensitivity: its maximum is where two classes share everything.
    assert (after < 0.8).all()
    assert (before > 0.8).any()


NUMBERS = arrays("float64", (3, 2, 2), elements=st.floats(-100, 100))


@given(NUMBERS, NUMBERS, st.floats(1e-3, 300))
def test_the_ball_gets_the_nearest_point_of_the_segment_to_its_centre(x, centre, radius):
    middle = torch.from_numpy(centre)
    found = project_l2(torch.from_numpy(x), middle, radius=radius)
    for one, own, moved in zip(x, centre, found.numpy(), strict=True):
        length = np.sqrt(((one - own) ** 2).sum())
        share = min(1.0, radius / length) if length else 1.0
        np.testing.assert_allclose(moved, own + share * (one - own), atol=1e-9)
        assert np.sqrt(((moved - own) ** 2).sum()) <= radius * (1 + 1e-9)
    torch.testing.assert_close(project_l2(found, middle, radius=radius), found)
    assert torch.equal(project_l2(middle, middle, radius=radius), middle)
