import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from modelseal.generation.baselines.ascent import project_l2, project_linf

numbers = arrays("float64", (3, 2, 2), elements=st.floats(-100, 100))
radii = st.floats(1e-3, 300)


@given(numbers, numbers, radii)
def test_the_ball_gets_the_nearest_point_of_the_segment_to_its_centre(x, centre, radius):
    found = project_l2(torch.from_numpy(x), torch.from_numpy(centre), radius=radius).numpy()
    for one, middle, moved in zip(x, centre, found, strict=True):
        length = np.sqrt(((one - middle) ** 2).sum())
        share = min(1.0, radius / length) if length else 1.0
        np.testing.assert_allclose(moved, middle + share * (one - middle), atol=1e-9)
        assert np.sqrt(((moved - middle) ** 2).sum()) <= radius * (1 + 1e-9)


@given(numbers, numbers, radii)
def test_the_cube_limits_every_value(x, centre, radius):
    found = project_linf(torch.from_numpy(x), torch.from_numpy(centre), radius=radius).numpy()
    nearest = np.minimum(np.maximum(x, centre - radius), centre + radius)
    np.testing.assert_allclose(found, nearest, atol=1e-9)


@given(numbers, numbers, radii, st.sampled_from([project_l2, project_linf]))
def test_projecting_again_changes_nothing(x, centre, radius, project):
    middle = torch.from_numpy(centre)
    once = project(torch.from_numpy(x), middle, radius=radius)
    torch.testing.assert_close(project(once, middle, radius=radius), once)


@given(numbers, numbers, numbers, radii, st.sampled_from([project_l2, project_linf]))
def test_no_point_inside_is_nearer_than_the_projection(x, centre, other, radius, project):
    start, middle = torch.from_numpy(x), torch.from_numpy(centre)
    found = project(start, middle, radius=radius)
    inside = project(torch.from_numpy(other), middle, radius=radius)
    distance, rival = ((y - start).flatten(1).norm(dim=1) for y in (found, inside))
    assert (distance <= rival + 1e-9).all()


def test_what_is_inside_stays_to_the_last_bit():
    centre = torch.rand(4, 3, generator=torch.Generator().manual_seed(1))
    assert torch.equal(project_l2(centre, centre, radius=0.1), centre)
    assert torch.equal(project_linf(centre, centre, radius=0.1), centre)
