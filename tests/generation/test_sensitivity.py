import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from refusals import refuses
from slow_sensitivity import exact_sensitivity
from torch import nn

from modelseal.errors import InvalidArgumentError
from modelseal.generation.sensitivity import (
    Output,
    choose_parameters,
    count_classes,
    last_layer_sensitivity,
    run_last_layer,
    softmax_jacobian_norm,
)

OUTPUTS = list(Output)


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


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_closed_form_is_the_exact_sensitivity_of_the_last_layer(network, images, output):
    exact = exact_sensitivity(network, images, output=output, parameters=last_names(network))
    closed = last_layer_sensitivity(network, images, output=output)
    torch.testing.assert_close(closed, exact)


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_closed_form_can_be_differentiated_by_the_inputs(smooth, images, output):
    smooth = smooth.double()
    inputs = images[:2].double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: last_layer_sensitivity(smooth, x, output=output), inputs, fast_mode=True
    )


def test_the_last_layer_is_found_with_its_features(tiny, images):
    last = run_last_layer(tiny, images)
    assert last.name == "4"
    assert last.module is tiny[4]
    assert torch.equal(last.features, tiny[:4](images))
    assert torch.equal(last.scores, tiny(images))


def test_a_linear_layer_that_runs_after_the_scores_were_made_is_not_the_last():
    class Aside(nn.Module):
        def __init__(self):
            super().__init__()
            self.head, self.aside = nn.Linear(3, 2), nn.Linear(2, 2)

        def forward(self, inputs):
            scores = self.head(inputs)
            self.aside(scores)
            return scores

    assert run_last_layer(Aside(), torch.ones(1, 3)).name == "head"


@pytest.mark.parametrize(
    "network",
    [nn.Sequential(nn.Linear(4, 3), nn.Softmax(1)), nn.Sequential(nn.Flatten(), nn.Tanh())],
)
def test_scores_from_elsewhere_are_refused(network):
    with refuses(InvalidArgumentError, match="torch.nn.Linear"):
        run_last_layer(network, torch.ones(2, 4))


def test_all_floating_parameters_are_weights_and_no_others(tiny):
    tiny.register_parameter("steps", nn.Parameter(torch.tensor([3]), requires_grad=False))
    names = ["0.bias", "0.weight", "1.bias", "1.weight", "4.bias", "4.weight"]
    assert sorted(choose_parameters(tiny, None)) == names
    assert list(choose_parameters(tiny, ["1.bias"])) == ["1.bias"]
    for unknown in (["4.weight", "steps"], ["5.weight"], []):
        with refuses(InvalidArgumentError, field="parameters", match="0.weight, "):
            choose_parameters(tiny, unknown)
    with refuses(InvalidArgumentError, field="parameters"):
        choose_parameters(nn.Flatten(), None)


def test_classes_are_counted_of_some_input_in_evaluation_mode(tiny, images):
    assert count_classes(tiny, images) == 3
    with refuses(InvalidArgumentError, field="inputs"):
        count_classes(tiny, images[:0])
    with refuses(InvalidArgumentError, field="network"):
        count_classes(tiny.train(), images)
