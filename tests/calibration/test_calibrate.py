import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from refusals import refuses
from torch import nn

from modelseal.calibration.calibrate import calibrate, compare
from modelseal.calibration.variants import BatchSize, ChannelsLast, Replaced, Threads, fp32_variants
from modelseal.errors import InvalidArgumentError, SealingError
from modelseal.outputs.specs import TopLabels, parse_spec

SPECS = ["top1", "topk:2", "topprobs:2:3", "probs:4", "scores:0.01"]


class AloneDiffers(nn.Module):
    """Adds a known number to the second score of an input that is run alone."""

    def forward(self, inputs):
        alone = torch.tensor([0.0, 0.25, 0.0]) * (len(inputs) == 1)
        return inputs + alone


SCORES = torch.tensor([[4.0, 3.0, 0.0], [1.0, 0.875, 0.0], [2.0, 8.0, 5.0]])


def test_a_known_noise_of_one_batch_size_is_measured_and_flips_what_it_must():
    result = calibrate(
        AloneDiffers(), SCORES, spec=TopLabels(), variants=[BatchSize(1), BatchSize(2)]
    )
    assert result.variants == ("batch-1-at-0", "batch-2-at-0")
    assert result.margins.tolist() == [1, 0.125, 3]
    assert result.moves.tolist() == [0.25, 0.25, 0.25]
    assert result.moves_by_variant["batch-1-at-0"].tolist() == [0.25, 0.25, 0.25]
    assert result.moves_by_variant["batch-2-at-0"].tolist() == [0, 0, 0]
    assert result.silent.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("factor", "accepted"), [(1.0, [0, 2]), (4.0, [0, 2]), (4.1, [2]), (12.0, [2]), (12.1, [])]
)
def test_a_sample_is_accepted_if_its_margin_is_that_many_times_the_move(factor, accepted):
    result = calibrate(AloneDiffers(), SCORES, spec=TopLabels(), variants=[BatchSize(1)])
    assert np.flatnonzero(result.accepted(factor)).tolist() == accepted


@pytest.mark.parametrize("factor", [0.0, 0.99, -1.0, np.nan, np.inf])
def test_a_safety_factor_below_one_is_refused(factor):
    result = calibrate(nn.Identity(), SCORES, spec=TopLabels(), variants=[BatchSize(2)])
    with refuses(InvalidArgumentError, field="factor"):
        result.accepted(factor)


@pytest.mark.parametrize("text", SPECS)
@settings(max_examples=40)
@given(data=st.data())
def test_moves_are_the_largest_of_all_variants_and_silence_needs_all_of_them(text, data):
    spec = parse_spec(text)
    numbers = st.floats(-8, 8, width=32)
    first, *others = (data.draw(arrays(np.float32, (4, 3), elements=numbers)) for _ in range(4))
    shown = {f"variant {number}": scores for number, scores in enumerate(others)}
    result = compare(first, shown, spec=spec)
    for row in range(4):
        one = slice(row, row + 1)
        moves = [spec.move(first[one], scores[one])[0] for scores in others]
        floor = np.spacing(np.float32(max(abs(float(value)) for value in first[row])))
        assert result.moves[row] == max([*moves, floor])
        expected = spec.reveal(first[one])
        same = [spec.agree(expected, spec.reveal(scores[one]))[0] for scores in others]
        assert result.silent[row] == all(same)
        assert result.margins[row] == spec.margin(first[one])[0]


@pytest.mark.parametrize("text", SPECS)
@settings(max_examples=40)
@given(data=st.data())
def test_an_accepted_sample_never_flips_within_its_move(text, data):
    spec = parse_spec(text)
    numbers = st.floats(-8, 8, width=32)
    first = data.draw(arrays(np.float32, (4, 3), elements=numbers))
    shift = data.draw(arrays(np.float32, (4, 3), elements=st.floats(-(2**-7), 2**-7, width=32)))
    result = compare(first, {"shifted": first + shift}, spec=spec)
    again = compare(first, {"shifted back": first + shift / 2}, spec=spec)
    assert not (result.accepted(2.0) & ~again.silent).any()


def test_a_margin_of_one_unit_in_the_last_place_is_never_accepted_for_want_of_noise():
    lead = np.nextafter(np.float32(5), np.float32(6))
    inputs = torch.tensor([[lead, 5.0, 0.0], [lead + 1e-4, 5.0, 0.0]])
    result = calibrate(nn.Identity(), inputs, spec=TopLabels(), variants=[BatchSize(1)])
    assert (result.moves_by_variant["batch-1-at-0"] == 0).all()
    assert (result.moves == np.spacing(np.float32(5))).all()
    assert result.accepted(2.0).tolist() == [False, True]


@pytest.mark.parametrize("text", SPECS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_never_accepted(text, value):
    expected = SCORES.numpy().copy()
    broken = expected.copy()
    broken[1, 2] = value
    spec = parse_spec(text)
    for first, second in [(expected, broken), (broken, expected), (broken, broken)]:
        assert not compare(first, {"broken": second}, spec=spec).accepted(1.0)[1]


def test_variants_that_cannot_run_are_skipped_with_their_reason():
    result = calibrate(
        nn.Identity(), SCORES, spec=TopLabels(), variants=[ChannelsLast(), Threads(1)]
    )
    (skipped,) = result.skipped
    assert skipped.name == "channels-last"
    assert "3 axes" in skipped.reason
    assert result.variants == ("threads-1",)


def test_calibration_without_a_variant_that_runs_is_refused():
    with refuses(SealingError, match=r"channels-last: .* 3 axes"):
        calibrate(nn.Identity(), SCORES, spec=TopLabels(), variants=[ChannelsLast()])
    with refuses(SealingError, match=r"none"):
        calibrate(nn.Identity(), SCORES, spec=TopLabels(), variants=[])


def test_two_variants_of_one_name_are_refused():
    twice = [Threads(1), Threads(1)]
    with refuses(InvalidArgumentError, field="variants", match="threads-1, threads-1"):
        calibrate(nn.Identity(), SCORES, spec=TopLabels(), variants=twice)


def test_a_replaced_network_of_other_classes_is_refused():
    other = Replaced("other", nn.Linear(3, 2))
    with refuses(InvalidArgumentError, field="other", match=r"\(3, 3\), got \(3, 2\)"):
        calibrate(nn.Identity(), SCORES, spec=TopLabels(), variants=[other])


def test_a_network_that_cannot_run_at_all_is_an_error_and_not_skipped():
    with refuses(SealingError):
        calibrate(nn.Linear(7, 2), SCORES, spec=TopLabels(), variants=[Threads(1)])


@pytest.mark.real
def test_the_real_network_is_silent_in_every_quick_variant(resnet20, photos):
    slow = {"batch-256-at-128", "batch-256-at-255", "compile"}
    quick = [one for one in fp32_variants() if one.name not in slow]
    result = calibrate(resnet20.network, photos[0][:24], spec=TopLabels(), variants=quick)
    assert result.skipped == ()
    assert result.silent.all()
    # Rounding of scores up to 30 through 20 layers: measured at 2e-5, and at 1.7e-4 by NNPACK.
    assert 0 < result.moves.max() < 1e-3
    assert (result.accepted(10.0) == (result.margins >= 10 * result.moves)).all()
