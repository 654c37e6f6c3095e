import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from modelseal.errors import InvalidArgumentError
from modelseal.generation import sensitivity as module
from modelseal.generation.sensitivity import (
    Output,
    estimated_sensitivity,
    exact_sensitivity,
    last_layer_sensitivity,
    softmax_jacobian_norm,
)
from modelseal.research.ghost_norms import ghost_sensitivity

OUTPUTS = list(Output)


def show(output):
    return {Output.LOGITS: lambda z: z, Output.PROBABILITIES: lambda z: z.softmax(1)}[output]


def last_names(network):
    number = len(network) - 1
    names = [name for name, _ in network.named_parameters()]
    return [name for name in names if name.startswith(f"{number}.")]


@given(arrays("float64", (3, 5), elements=st.floats(-20, 20)))
def test_the_norm_of_the_softmax_jacobian_is_that_of_the_whole_matrix(numbers):
    logits = torch.from_numpy(numbers)
    norms = softmax_jacobian_norm(logits.softmax(1))
    for row, norm in zip(logits, norms, strict=True):
        matrix = torch.autograd.functional.jacobian(lambda z: z.softmax(0), row)
        # The terms of the closed form are up to 1 and are rounded to 1e-16 each.
        assert norm.item() == pytest.approx(matrix.square().sum().item(), rel=1e-9, abs=1e-14)


def test_the_norm_of_a_confident_answer_is_not_lost_to_rounding():
    logits = torch.tensor([[18.0, 0.0, -1.0], [0.0, 30.0, 1.0]], requires_grad=True)
    exact = logits.detach().double().requires_grad_()
    norms, wanted = (
        softmax_jacobian_norm(logits.softmax(1)),
        softmax_jacobian_norm(exact.softmax(1)),
    )
    torch.testing.assert_close(norms.double(), wanted, rtol=1e-5, atol=0.0)
    slope = torch.autograd.grad(norms.sum(), logits)[0]
    steep = torch.autograd.grad(wanted.sum(), exact)[0]
    # One ascends along the small classes' logits, the top one's is what they leave.
    torch.testing.assert_close(slope.double(), steep, rtol=1e-4, atol=0.0)


def test_two_equal_classes_have_the_largest_norm_and_a_certain_class_none():
    rows = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.4, 0.4, 0.2], [0.6, 0.4, 0.0]])
    norms = softmax_jacobian_norm(rows)
    assert norms[:2].tolist() == [0.25, 0.0]
    assert (norms[2:] < 0.25).all()


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_closed_form_is_the_exact_sensitivity_of_the_last_layer(network, images, output):
    exact = exact_sensitivity(network, images, output=output, parameters=last_names(network))
    closed = last_layer_sensitivity(network, images, output=output)
    torch.testing.assert_close(closed, exact)


@pytest.mark.parametrize("gap", [5.0, 20.0, 36.0, 60.0])
def test_what_is_left_where_the_network_is_confident_is_not_lost_to_rounding(gap):
    layer = nn.Linear(1, 3, bias=False).eval()
    layer.weight.data = torch.tensor([[gap], [0.0], [-1.0]])
    inputs = torch.ones(1, 1)
    found = exact_sensitivity(layer, inputs, output=Output.PROBABILITIES)
    with mpmath.workdps(60):
        powers = [mpmath.e ** float(score) for score in (gap, 0.0, -1.0)]
        shares = [power / mpmath.fsum(powers) for power in powers]
        entries = [
            one * ((row == column) - other)
            for row, one in enumerate(shares)
            for column, other in enumerate(shares)
        ]
        wanted = float(mpmath.fsum(entry**2 for entry in entries))
    assert float(found) == pytest.approx(wanted, rel=1e-5)
    assert float(ghost_sensitivity(layer, inputs, output=Output.PROBABILITIES)) == pytest.approx(
        wanted, rel=1e-5
    )


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_closed_form_can_be_differentiated_by_the_inputs(smooth, images, output):
    smooth = smooth.double()
    inputs = images[:2].double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: last_layer_sensitivity(smooth, x, output=output), inputs, fast_mode=True
    )


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_exact_sensitivity_is_that_of_plain_autograd(network, images, output, weight_jacobian):
    found = exact_sensitivity(network, images, output=output)
    slow = [weight_jacobian(network, one, show(output)).square().sum() for one in images]
    torch.testing.assert_close(found, torch.stack(slow))


def test_the_exact_sensitivity_of_some_parameters_is_that_of_plain_autograd(
    tiny, images, weight_jacobian
):
    names = ["1.bias", "0.weight"]
    found = exact_sensitivity(tiny, images, output=Output.LOGITS, parameters=names)
    slow = [weight_jacobian(tiny, one, names=names).square().sum() for one in images]
    torch.testing.assert_close(found, torch.stack(slow))


@pytest.mark.parametrize("entries", [1, 6200, 50_000])
def test_memory_changes_nothing_but_the_pieces(tiny, images, entries, monkeypatch):
    whole = exact_sensitivity(tiny, images, output=Output.PROBABILITIES)
    monkeypatch.setattr(module, "ENTRIES", entries)
    pieces = exact_sensitivity(tiny, images, output=Output.PROBABILITIES)
    torch.testing.assert_close(pieces, whole)


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_estimate_is_right_on_average(smooth, images, output, weight_jacobian):
    probes = 400
    generator = torch.Generator().manual_seed(4)
    found = estimated_sensitivity(smooth, images, output=output, probes=probes, generator=generator)
    exact = exact_sensitivity(smooth, images, output=output)
    for one, mean, value in zip(images, found, exact, strict=True):
        jacobian = weight_jacobian(smooth, one, show(output))
        gram = jacobian @ jacobian.T
        # The variance of vᵀ G v is twice the squares off the diagonal; five standard deviations
        # of the mean are passed once in two million.
        spread = (2 * (gram.square().sum() - gram.diagonal().square().sum()) / probes).sqrt()
        assert 0 < spread < 0.2 * value
        assert abs(mean - value) < 5 * spread


def test_one_probe_is_exact_where_classes_share_no_weights(network, images):
    # dz_i/dW of the last layer has entries in row i only, so that all signs square away.
    names = last_names(network)
    exact = exact_sensitivity(network, images, output=Output.LOGITS, parameters=names)
    found = estimated_sensitivity(
        network,
        images,
        output=Output.LOGITS,
        probes=1,
        generator=torch.Generator().manual_seed(5),
        parameters=names,
    )
    torch.testing.assert_close(found, exact)


def test_the_estimate_depends_on_the_generator_alone(tiny, images):
    def estimate(seed):
        generator = torch.Generator().manual_seed(seed)
        inputs = images[:1].expand(4, -1, -1, -1)
        return estimated_sensitivity(
            tiny, inputs, output=Output.LOGITS, probes=2, generator=generator
        )

    assert torch.equal(estimate(6), estimate(6))
    assert not torch.equal(estimate(6), estimate(7))
    # Every input has probes of its own, even where the inputs are the same.
    assert len(set(estimate(6).tolist())) > 1


def test_measuring_leaves_the_owners_network_as_it_was(tiny, images):
    before = {name: value.clone() for name, value in tiny.state_dict().items()}
    exact_sensitivity(tiny, images, output=Output.LOGITS)
    last_layer_sensitivity(tiny, images.requires_grad_(), output=Output.LOGITS).sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in tiny.state_dict().items())
    assert not any(value.requires_grad or value.grad is not None for value in tiny.parameters())
    assert not any(layer._forward_hooks for layer in tiny.modules())


def test_parameters_that_require_gradients_are_measured_alike(tiny, images):
    frozen = exact_sensitivity(tiny, images, output=Output.LOGITS)
    with torch.no_grad():
        thawed = exact_sensitivity(tiny.requires_grad_(), images, output=Output.LOGITS)
    assert torch.equal(frozen, thawed)
    assert not thawed.requires_grad
    assert all(value.grad is None for value in tiny.parameters())


def test_parameters_that_are_whole_numbers_are_no_weights(tiny, images):
    before = exact_sensitivity(tiny, images, output=Output.LOGITS)
    steps = nn.Parameter(torch.tensor([3]), requires_grad=False)
    tiny.register_parameter("steps", steps)
    assert torch.equal(exact_sensitivity(tiny, images, output=Output.LOGITS), before)
    with pytest.raises(InvalidArgumentError, match=r"0\.weight, .*4\.bias, but are steps$"):
        exact_sensitivity(tiny, images, output=Output.LOGITS, parameters=["steps"])


def test_an_exported_program_is_measured_like_its_network(tiny, images):
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(tiny, (images,), dynamic_shapes=({0: batch},)).module()
    program.training = False
    torch.testing.assert_close(
        exact_sensitivity(program, images, output=Output.PROBABILITIES),
        exact_sensitivity(tiny, images, output=Output.PROBABILITIES),
    )


@pytest.mark.parametrize(
    ("names", "came"), [(["4.weight", "5.weight", "head"], "5.weight, head"), ([], "none")]
)
def test_unknown_parameters_are_answered_with_the_known_ones(tiny, images, names, came):
    known = "0.weight, 0.bias, 1.weight, 1.bias, 4.weight, 4.bias"
    with pytest.raises(InvalidArgumentError, match=rf"one or more of {known}, but are {came}$"):
        exact_sensitivity(tiny, images, output=Output.LOGITS, parameters=names)


def test_a_network_without_parameters_has_no_sensitivity(images):
    with pytest.raises(InvalidArgumentError, match="one or more of none, but are none"):
        exact_sensitivity(nn.Flatten().eval(), images, output=Output.LOGITS)


def test_no_inputs_are_refused(tiny, images):
    with pytest.raises(InvalidArgumentError, match="at least one input is needed"):
        exact_sensitivity(tiny, images[:0], output=Output.LOGITS)


def test_a_training_network_is_refused(tiny, images):
    with pytest.raises(InvalidArgumentError, match="in evaluation mode is needed"):
        exact_sensitivity(tiny.train(), images, output=Output.LOGITS)


def test_no_probes_are_refused(tiny, images):
    with pytest.raises(InvalidArgumentError, match="at least 1 probe is needed, but got 0"):
        estimated_sensitivity(
            tiny, images, output=Output.LOGITS, probes=0, generator=torch.Generator()
        )


@pytest.mark.parametrize("output", OUTPUTS)
def test_all_ways_agree_on_a_real_network(resnet20, photos, output, weight_jacobian):
    network, inputs = resnet20.network, photos[0][:2]
    exact = exact_sensitivity(network, inputs, output=output)
    slow = [weight_jacobian(network, one, show(output)).square().sum() for one in inputs]
    # Twenty layers in float32, summed in another order.
    torch.testing.assert_close(exact, torch.stack(slow), rtol=1e-3, atol=0.0)
    names = ["network.linear.weight", "network.linear.bias"]
    torch.testing.assert_close(
        last_layer_sensitivity(network, inputs, output=output),
        exact_sensitivity(network, inputs, output=output, parameters=names),
        rtol=1e-4,
        atol=1e-7,
    )
