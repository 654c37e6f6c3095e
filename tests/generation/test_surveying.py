import pytest
import torch
from torch import nn
from torch.nn import functional

from modelseal.generation.sensitivity import choose_parameters
from modelseal.research.parameter_uses import survey


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
