import pytest
import torch
from refusals import refuses
from slow_sensitivity import exact_sensitivity
from torch import nn
from torch.nn import functional

from modelseal.errors import InvalidArgumentError
from modelseal.generation.sensitivity import Output, choose_parameters
from modelseal.research import ghost_norms as module
from modelseal.research.ghost_norms import (
    Unknown,
    ghost_sensitivity,
    squared_derivatives,
    squared_ghosts,
)
from modelseal.research.parameter_uses import survey, watch


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
    with pytest.raises(InvalidArgumentError, match=r"2\.weight .*; 2\.bias \(used by conv_tr"):
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
    with refuses(InvalidArgumentError, field="excluded"):
        ghosts(tiny, images, excluded=["head", "0", "2"])
    with refuses(InvalidArgumentError, field="excluded"):
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


def test_a_watched_network_gives_its_scores(network, images):
    watched = watch(network, images, choose_parameters(network, None))
    torch.testing.assert_close(watched.scores, network(images))
    assert watched.scores.requires_grad


def test_every_use_names_its_parameters_in_order(tiny, images):
    watched = watch(tiny, images, choose_parameters(tiny, None))
    assert [dict(use.names) for use in watched.uses] == [
        {"weight": f"{number}.weight", "bias": f"{number}.bias"} for number in (0, 1, 4)
    ]
    assert [use.shape for use in watched.uses] == [(4, 8, 8, 8), (4, 8, 8, 8), (4, 3)]
    assert not any(use.stale for use in watched.uses)


def test_watched_attention_gives_what_attention_gives():
    for settings in ({}, {"bias": False}, {"add_zero_attn": True}):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            attention = nn.MultiheadAttention(6, 2, batch_first=True, **settings).eval()
            states = torch.rand(2, 3, 6)

        class Pooled(nn.Module):
            def __init__(self, inner):
                super().__init__()
                self.inner = inner

            def forward(self, inputs):
                mixed, shares = self.inner(inputs, inputs, inputs)
                return mixed.sum(1) + shares.sum()

        pooled = Pooled(attention).eval()
        watched = watch(pooled, states, choose_parameters(pooled, None))
        torch.testing.assert_close(watched.scores, pooled(states))
        assert [use.names["weight"] for use in watched.uses] == [
            "inner.in_proj_weight",
            "inner.out_proj.weight",
        ]


def test_an_activation_in_place_does_not_spoil_what_came_out(images):
    layers = nn.Sequential(nn.Flatten(), nn.Linear(192, 3), nn.ReLU(inplace=True)).eval()
    watched = watch(layers, images, choose_parameters(layers, None))
    torch.testing.assert_close(watched.scores, layers(images))


class Odd(nn.Module):
    """A linear layer that is used in an odd way, before another one."""

    def __init__(self, use):
        super().__init__()
        self.odd, self.head, self.use = nn.Linear(4, 4), nn.Linear(4, 3), use

    def forward(self, inputs):
        return self.head(self.use(self.odd, inputs))


def look(use, chosen=("odd.weight", "head.weight")):
    network = Odd(use).eval()
    parameters = choose_parameters(network, None)
    return survey(network, torch.rand(3, 4), parameters, chosen)


def stale(layer, inputs):
    states = inputs * 2
    came = layer(states)
    states.add_(1)
    return came + states


def hidden(layer, inputs):
    with torch._C.DisableTorchFunction():
        return layer(inputs)


ODD = {
    "another function": (lambda layer, x: x @ layer.weight, "used by matmul"),
    "a view": (lambda layer, x: functional.linear(x, layer.weight.t()), "used by t"),
    "in a list": (lambda layer, x: x + torch.stack([layer.weight]).sum(), "used by stack"),
    "in another place": (
        lambda layer, x: x + functional.linear(layer.weight, torch.ones(4, 4)).sum(0),
        "used by linear",
    ),
    "multiplied": (lambda layer, x: torch.add(x, layer.weight[0], alpha=2), "used by __getitem__"),
    "twice in a sum": (lambda layer, x: x + (layer.weight + layer.weight)[0], "used by add"),
    "no batch": (lambda layer, x: x + layer(torch.ones(4)), "inputs cannot be told apart"),
    "mixed": (lambda layer, x: layer(x).mean(0).expand(len(x), -1), "meet another's"),
    "stale": (stale, "changed in place later"),
    "hidden": (hidden, "not seen in use"),
}


@pytest.mark.parametrize("kind", ODD)
def test_a_part_that_is_not_known_is_said_with_its_reason(kind):
    use, reason = ODD[kind]
    found = look(use)
    assert list(found.unknown) == ["odd.weight"]
    assert reason in found.unknown["odd.weight"]
    assert list(found.uses) == ["head.weight"]


def test_a_scaled_sum_is_not_a_sum():
    found = look(lambda layer, x: torch.add(x, layer.bias, alpha=2), ("odd.bias",))
    assert found.unknown == {"odd.bias": "used by add"}


@pytest.mark.parametrize("use", [lambda layer, x: x, lambda layer, x: x + len(layer.weight)])
def test_a_parameter_without_a_part_is_no_riddle(use):
    found = look(use)
    assert not found.unknown
    assert list(found.uses) == ["head.weight"]


def test_a_network_that_uses_none_of_its_parameters_is_no_riddle():
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.idle = nn.Parameter(torch.ones(3))

        def forward(self, inputs):
            return inputs * 2

    network = Idle().eval()
    found = survey(network, torch.rand(2, 3), choose_parameters(network, None), ("idle",))
    assert not found.unknown
    assert not found.uses
    assert found.size == 0


def test_every_use_is_counted():
    found = look(lambda layer, x: layer(layer(x)))
    assert [number for number, _ in found.uses["odd.weight"]] == [0, 1]
    assert found.axes == (0, 0, 0)
    # Four, four and three values come out for one input.
    assert found.size == 11
