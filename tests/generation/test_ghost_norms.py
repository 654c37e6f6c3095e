import pytest
import torch
from slow_sensitivity import exact_sensitivity
from torch import nn

from modelseal.errors import InvalidArgumentError
from modelseal.generation.sensitivity import Output, choose_parameters
from modelseal.research import ghost_norms as module
from modelseal.research.ghost_norms import (
    Unknown,
    ghost_sensitivity,
    squared_derivatives,
    squared_ghosts,
)


@pytest.fixture
def upward():
    """A network with a transposed convolution, whose ghost norm is not known."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2),
            nn.Softplus(),
            nn.ConvTranspose2d(4, 2, 2),
            nn.Flatten(),
            nn.Linear(32, 3),
        ).eval()


def ghosts(network, images, **changes):
    return ghost_sensitivity(network, images, output=Output.LOGITS, **changes)


def exact(network, images, **changes):
    return exact_sensitivity(network, images, output=Output.LOGITS, **changes)


@pytest.mark.parametrize("output", list(Output))
def test_they_are_the_exact_sensitivity(network, images, output):
    found = ghost_sensitivity(network, images, output=output)
    torch.testing.assert_close(found, exact_sensitivity(network, images, output=output))


def test_some_parameters_count_by_themselves(tiny, images):
    names = ["1.bias", "0.weight"]
    torch.testing.assert_close(
        ghosts(tiny, images, parameters=names), exact(tiny, images, parameters=names)
    )


def test_any_directions_can_be_asked_for(tiny, images):
    source = torch.Generator().manual_seed(0)
    directions = torch.randn(4, 2, 3, generator=source)
    settings = {"output": Output.PROBABILITIES, "parameters": choose_parameters(tiny, None)}
    torch.testing.assert_close(
        squared_ghosts(tiny, images, directions, **settings),
        squared_derivatives(tiny, images, directions, **settings),
    )


@pytest.mark.parametrize("entries", [1, 3000])
def test_memory_changes_nothing_but_the_pieces(tiny, images, entries, monkeypatch):
    whole = ghosts(tiny, images)
    monkeypatch.setattr(module, "SLOPES", entries)
    torch.testing.assert_close(ghosts(tiny, images), whole)


def test_one_input_is_measured_as_among_others(tiny, images):
    torch.testing.assert_close(ghosts(tiny, images[:1]), ghosts(tiny, images)[:1])


def test_measuring_leaves_the_owners_network_as_it_was(tiny, images):
    before = {name: value.clone() for name, value in tiny.state_dict().items()}
    tiny.requires_grad_()
    assert not ghosts(tiny, images).requires_grad
    assert all(torch.equal(value, before[name]) for name, value in tiny.state_dict().items())
    assert all(value.grad is None for value in tiny.parameters())


def test_a_kind_that_is_not_known_is_named_and_refused(upward, images):
    with pytest.raises(
        InvalidArgumentError,
        match=r"2\.weight \(used by conv_transpose2d\); 2\.bias \(used by conv_transpose2d\) is "
        r"not known: exclude",
    ):
        ghosts(upward, images)


def test_what_is_not_known_can_be_measured_slowly(upward, images):
    torch.testing.assert_close(ghosts(upward, images, unknown=Unknown.EXACT), exact(upward, images))
    names = ["2.bias"]
    torch.testing.assert_close(
        ghosts(upward, images, parameters=names, unknown=Unknown.EXACT),
        exact(upward, images, parameters=names),
    )


@pytest.mark.parametrize("excluded", [["2"], ["2.weight", "2.bias"]])
def test_what_is_not_known_can_be_excluded_by_name(upward, images, excluded):
    known = ["0.weight", "0.bias", "4.weight", "4.bias"]
    wanted = exact(upward, images, parameters=known)
    torch.testing.assert_close(ghosts(upward, images, excluded=excluded), wanted)


def test_what_is_not_known_can_be_left_out_whatever_it_is(upward, images):
    torch.testing.assert_close(
        ghosts(upward, images, unknown=Unknown.EXCLUDE), ghosts(upward, images, excluded=["2"])
    )
    found = ghosts(upward, images, parameters=["2.bias"], unknown=Unknown.EXCLUDE)
    assert found.tolist() == [0.0] * 4


def test_what_is_excluded_needs_to_be_there(tiny, images):
    with pytest.raises(InvalidArgumentError, match="but head, 2 is none"):
        ghosts(tiny, images, excluded=["head", "0", "2"])
    with pytest.raises(InvalidArgumentError, match="but all are excluded"):
        ghosts(tiny, images, parameters=["0.bias"], excluded=["0"])


def test_attention_with_parts_that_are_not_known_is_measured_slowly(weight_jacobian):
    class Biased(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, add_bias_kv=True, batch_first=True)
            self.head = nn.Linear(4, 3)

        def forward(self, inputs):
            return self.head(self.attention(inputs, inputs, inputs)[0].sum(1))

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network, inputs = Biased().eval(), torch.rand(2, 3, 4)
    with pytest.raises(InvalidArgumentError, match=r"attention\.bias_k \(used by multi_head"):
        ghosts(network, inputs)
    slow = [weight_jacobian(network, one).square().sum() for one in inputs]
    torch.testing.assert_close(
        ghosts(network, inputs, unknown=Unknown.EXACT), torch.stack(slow).detach()
    )


def test_the_ghost_norms_of_a_real_network_are_exact_to_a_ten_thousandth(resnet20, photos):
    network, inputs = resnet20.network, photos[0][:2]
    for output in Output:
        torch.testing.assert_close(
            ghost_sensitivity(network, inputs, output=output),
            exact_sensitivity(network, inputs, output=output),
            rtol=1e-4,
            atol=0.0,
        )
