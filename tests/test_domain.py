from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from refusals import refuses

from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError

BOUNDS = [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-2.117904, 2.64), (-129.0, 126.0), (0.1, 0.7)]
LEVELS = [256, 255, 16, 2]
DISCRETE = [
    Domain(shape=(3,), bounds=bounds, levels=levels) for bounds in BOUNDS for levels in LEVELS
]
CONTINUOUS = [Domain(shape=(3,), bounds=bounds, levels=0) for bounds in BOUNDS]
any_domain = st.sampled_from(DISCRETE + CONTINUOUS)


def inputs_for(kind):
    return hnp.arrays(kind, (4, 3), elements=st.floats(-300, 300, width=32))


def value_of_level(domain, number):
    low, high = map(Fraction, domain.bounds)
    return low + (high - low) * number / (domain.levels - 1)


@pytest.mark.parametrize("domain", DISCRETE, ids=repr)
def test_the_table_holds_the_nearest_float32_of_every_level(domain):
    exact = [np.float32(float(value_of_level(domain, n))) for n in range(domain.levels)]
    assert np.allclose(domain.table, exact, rtol=2**-23, atol=0)
    assert domain.table.dtype == np.float32
    assert CONTINUOUS[0].table.shape == (0,)


@pytest.mark.parametrize("domain", DISCRETE, ids=repr)
def test_every_level_is_decoded_to_a_valid_input_and_encoded_back(domain):
    numbers = np.arange(domain.levels, dtype=np.uint8)
    codes = np.stack([numbers, numbers[::-1], numbers], axis=1)
    inputs = domain.decode(codes)
    assert domain.contains(inputs).all()
    assert np.array_equal(domain.encode(inputs), codes)
    assert np.array_equal(domain.encode(inputs.astype(np.float64)), codes)
    assert np.allclose(domain.snap(inputs), inputs, rtol=0, atol=domain.step * 1e-3)


@given(domain=any_domain, inputs=inputs_for(np.float64))
def test_clamp_moves_each_value_to_the_nearest_inside(domain, inputs):
    low, high = domain.bounds
    slow = [[min(max(value, low), high) for value in row] for row in inputs]
    assert np.array_equal(domain.clamp(inputs), slow)


@given(domain=st.sampled_from(DISCRETE), inputs=inputs_for(np.float64))
def test_snap_and_encode_move_each_value_to_the_nearest_level(domain, inputs):
    levels = np.array([float(value_of_level(domain, n)) for n in range(domain.levels)])
    nearest = np.abs(inputs[..., None] - levels).min(axis=-1)
    slack = 1e-9 * max(1.0, *map(abs, domain.bounds))
    assert np.allclose(np.abs(inputs - domain.snap(inputs)), nearest, rtol=0, atol=slack)
    chosen = levels[domain.encode(inputs)]
    assert np.allclose(np.abs(inputs - chosen), nearest, rtol=0, atol=slack)


@given(domain=any_domain, kind=st.sampled_from([np.float32, np.float64]), data=st.data())
def test_what_was_snapped_or_stored_is_contained(domain, kind, data):
    inputs = data.draw(inputs_for(kind))
    assert domain.contains(domain.snap(inputs)).all()
    assert domain.contains(domain.decode(domain.encode(inputs))).all()


def test_a_value_between_two_levels_is_not_contained():
    domain = Domain(shape=(1,), levels=256)
    shares = np.array([0, 0.0005, 0.002, 0.1, 0.5]) * domain.step
    inputs = (10 * domain.step + shares)[:, None]
    assert domain.contains(inputs).tolist() == [True, True, False, False, False]


def test_each_input_is_judged_alone():
    domain = Domain(shape=(2,), levels=0)
    inputs = np.array([[0, 1], [0, 1.5], [-0.1, 1], [np.nan, 0], [np.inf, 0], [0.3, 0.7]])
    assert domain.contains(inputs).tolist() == [True, False, False, False, False, True]


@pytest.mark.parametrize("shape", [(2, 3), (2, 2, 1), (2,)])
def test_inputs_of_another_shape_are_not_contained(shape):
    assert Domain(shape=(2,)).contains(np.zeros(shape)).tolist() == [False, False]


def test_a_tensor_is_clamped_and_snapped_like_an_array():
    torch = pytest.importorskip("torch")
    domain = Domain(shape=(3,), bounds=(-1.0, 1.0), levels=16)
    inputs = np.linspace(-2, 2, 30).reshape(10, 3)
    assert np.allclose(domain.snap(torch.from_numpy(inputs)).numpy(), domain.snap(inputs))


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        *(("shape", {"shape": shape}) for shape in ((), (3, 0))),
        *(("bounds", {"bounds": b}) for b in ((1.0, 1.0), (0.0, np.inf), (np.nan, 1.0))),
        *(("bounds", {"bounds": b}) for b in ((1e3, 1001.0), (-1e308, 1e308), (0.0, 1e-40))),
        ("bounds", {"bounds": (1.0, 1.0 + 1e-9), "levels": 0}),
        *(("levels", {"levels": levels}) for levels in (1, 257, -1)),
    ],
)
def test_a_domain_that_makes_no_sense_is_refused(field, arguments):
    with refuses(InvalidArgumentError, field=field):
        Domain(**{"shape": (2,), **arguments})


@pytest.mark.parametrize(
    ("levels", "codes"),
    [
        (256, np.zeros((1, 3), np.uint8)),
        (256, np.zeros((1, 2), np.float32)),
        (0, np.zeros((1, 2), np.uint8)),
        (16, np.full((1, 2), 16, np.uint8)),
        (0, np.full((1, 2), 1.5, np.float32)),
        (0, np.full((1, 2), np.nan, np.float32)),
    ],
)
def test_codes_that_are_no_inputs_are_refused(levels, codes):
    with refuses(InvalidArgumentError, field="inputs"):
        Domain((2,), levels=levels).decode(codes)
