import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from refusals import refuses
from torch import nn

from modelseal.calibration.precision import (
    LowPrecision,
    low_precision_variants,
    parse_precisions,
    to_activations,
    to_tf32,
    to_weights,
)
from modelseal.calibration.variants import Variant, reference
from modelseal.enums import Precision
from modelseal.errors import InvalidArgumentError
from modelseal.research.cifar_resnet import cifar_resnet
from modelseal.runtime.inference import run_network

HALF = [(Precision.BF16, torch.bfloat16), (Precision.FP16, torch.float16)]


@pytest.fixture
def inputs(coloured):
    return coloured[0][:40]


@pytest.fixture
def residual():
    """A residual network with statistics as of training, so that its layers are of one size."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = cifar_resnet(8).train()
        network(torch.rand(16, 3, 8, 8))
    return network.eval().requires_grad_(requires_grad=False)


def slow_tf32(value):
    """Ten bits after the point by Python's own exact arithmetic."""
    if value == 0:
        return 0.0
    exponent = max(int(np.floor(np.log2(abs(value)))), -126)
    unit = 2.0 ** (exponent - 10)
    return round(value / unit) * unit


@given(st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False))
def test_tf32_has_ten_bits_after_the_point(value):
    rounded = to_tf32(torch.tensor([value]))
    assert rounded.item() == slow_tf32(value)


def test_what_is_no_number_stays_and_what_is_too_large_is_infinite():
    numbers = torch.tensor([torch.nan, torch.inf, -torch.inf, torch.finfo(torch.float32).max])
    assert to_tf32(numbers).tolist() == pytest.approx(
        [torch.nan, torch.inf, -torch.inf, torch.inf], nan_ok=True
    )


NUMBERS = st.lists(st.floats(-8, 8, width=16), min_size=1, max_size=12).filter(
    lambda values: max(map(abs, values)) > 1e-3
)


@given(NUMBERS)
def test_weights_are_on_255_values_around_zero(values):
    moved = to_weights(torch.tensor(values)).double().numpy()
    largest = max(map(abs, values))
    whole = moved * 127 / largest
    # In float32 a value half way between two may go either way.
    assert np.abs(moved - values).max() <= 0.5001 * largest / 127
    assert np.abs(whole - whole.round()).max() < 1e-4
    assert np.abs(whole).max() == pytest.approx(127)


@given(NUMBERS)
def test_activations_are_on_256_values_that_hold_zero(values):
    moved = to_activations(torch.tensor(values)).double().numpy()
    low, high = min(0, *values), max(0, *values)
    step = (high - low) / 255
    whole = moved / step
    assert np.abs(whole - whole.round()).max() < 1e-4
    assert whole.round().max() - whole.round().min() <= 255
    # The ends may be cut by half a step, because zero must be met exactly.
    assert np.abs(moved - values).max() <= 1.001 * step


def test_tf32_rounds_both_operands_of_products_and_nothing_else(inputs):
    linear = nn.Linear(192, 3)
    exact = to_tf32(inputs.flatten(1)).double() @ to_tf32(linear.weight).double().T
    expected = (exact + linear.bias.double()).detach().numpy()
    network = nn.Sequential(nn.Flatten(), linear)
    # 192 sums in float32 against none: rounding of 1e-6 at the most, where TF32 moves by 1e-4.
    assert np.abs(LowPrecision(Precision.TF32)(network, inputs) - expected).max() < 2e-6
    assert np.abs(reference(network, inputs) - expected).max() > 2e-5


def test_int8_is_arithmetic_of_whole_numbers_with_a_scale(inputs):
    inputs = inputs[:32]
    linear = nn.Linear(192, 3)
    weight = linear.weight.detach().double().numpy()
    rows = inputs.flatten(1).double().numpy()
    scale, step = np.abs(weight).max() / 127, rows.max() / 255
    whole = np.round(rows / step).astype(int) @ np.round(weight / scale).astype(int).T
    expected = whole * scale * step + linear.bias.detach().double().numpy()
    network = nn.Sequential(nn.Flatten(), linear)
    # A number half way between two may go either way in float32.
    assert np.abs(LowPrecision(Precision.INT8)(network, inputs) - expected).max() < 2 * scale
    assert np.median(np.abs(LowPrecision(Precision.INT8)(network, inputs) - expected)) < 1e-5


@pytest.mark.parametrize(("precision", "dtype"), HALF)
def test_half_precision_is_the_converted_copy_but_for_the_order_of_sums(
    precision, dtype, residual, inputs
):
    emulated = LowPrecision(precision)(residual, inputs)
    real = run_network(copy.deepcopy(residual).to(dtype), inputs.to(dtype))
    move = np.abs(real - reference(residual, inputs)).max()
    assert np.abs(emulated - real).max() < move
    assert move / 3 < np.abs(emulated - reference(residual, inputs)).max() < 3 * move
    assert (torch.from_numpy(emulated).to(dtype).float().numpy() == emulated).all()


@pytest.mark.parametrize("precision", Precision)
def test_a_network_is_left_as_it_was(precision, residual, inputs):
    expected, kept = reference(residual, inputs), copy.deepcopy(residual)
    residual.train()
    LowPrecision(precision)(residual, inputs)
    assert all(module.training for module in residual.modules())
    residual.eval()
    assert (reference(residual, inputs) == expected).all()
    pairs = zip(kept.state_dict().values(), residual.state_dict().values(), strict=True)
    assert all(torch.equal(before, after) for before, after in pairs)


class InPlace(nn.Module):
    """Adds to its first half where it lies, through a view."""

    def forward(self, numbers):
        whole = numbers * 1
        whole[:, :2] += 1000
        return whole.relu_()


def test_what_is_written_through_a_view_reaches_what_it_is_a_view_of():
    rows = torch.tensor([[0.3, 0.6, 0.3, -1.0]]).expand(2, 4)
    expected = [1000.5, 1000.5, torch.tensor(0.3).half().item(), 0.0]
    assert LowPrecision(Precision.FP16)(InPlace(), rows)[0].tolist() == expected


def test_each_precision_is_a_variant_of_its_own_name_always_in_the_same_order():
    listed = low_precision_variants(frozenset(Precision))
    assert [one.name for one in listed] == ["tf32", "bf16", "fp16", "int8"]
    assert low_precision_variants([Precision.INT8, Precision.TF32, Precision.INT8]) == (
        listed[0],
        listed[3],
    )
    assert all(isinstance(one, Variant) for one in listed)
    assert low_precision_variants(()) == ()


@pytest.mark.parametrize(
    ("words", "names"),
    [("", ""), ("int8", "INT8"), ("fp16,bf16", "BF16 FP16"), (" tf32 , tf32", "TF32")],
)
def test_words_name_precisions(words, names):
    assert parse_precisions(words) == {Precision[name] for name in names.split()}


@pytest.mark.parametrize("words", ["fp32", "fp16,", "fp16 bf16", "FP16", ","])
def test_a_word_that_is_no_precision_is_refused(words):
    with refuses(InvalidArgumentError, match=f"tf32, bf16, fp16, int8, .* got '{words}'"):
        parse_precisions(words)
