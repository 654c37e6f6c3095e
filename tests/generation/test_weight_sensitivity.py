"""The sensitivity to the weights of any layer, against plain autograd."""

import pytest
import torch
from refusals import refuses
from slow_sensitivity import SHOWS, exact_sensitivity, weight_jacobian
from torch import nn
from torch.nn import functional

from modelseal.errors import InvalidArgumentError
from modelseal.generation.sensitivity import Output
from modelseal.research import weight_sensitivity as module
from modelseal.research.weight_sensitivity import weight_sensitivity


class Attention(nn.Module):
    """Attention of a sequence to itself."""

    def __init__(self, **settings):
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True, **settings)
        self.head = nn.Linear(6, 4)

    def forward(self, inputs):
        mixed, _ = self.attention(inputs, inputs, inputs)
        return self.head(mixed.mean(1))


class Tokens(nn.Module):
    """A class token, positions and scales, as vision transformers have them."""

    def __init__(self):
        super().__init__()
        self.token, self.places = nn.Parameter(torch.rand(1, 1, 6)), nn.Parameter(torch.rand(4, 6))
        self.scale, self.head = nn.Parameter(torch.rand(6)), nn.Linear(6, 4)

    def forward(self, inputs):
        states = torch.cat([self.token.expand(len(inputs), -1, -1), inputs], 1) + self.places
        return self.head((torch.tanh(states) * self.scale)[:, 0])


class Tied(nn.Module):
    """One matrix in two layers, in a table and in the scores."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.second.weight = self.first.weight
        self.table = nn.Embedding(6, 6)
        self.table.weight = self.first.weight

    def forward(self, inputs):
        states = self.second(torch.tanh(self.first(inputs)))
        states = states + self.table((inputs[..., 0] * 6).long())
        return functional.linear(states.sin(), self.first.weight).sum(1)


def ended(*layers):
    return nn.Sequential(*layers, nn.Softplus(), nn.Flatten(), nn.LazyLinear(4))


KINDS = {
    "vectors": (lambda: ended(nn.Linear(6, 5), nn.ReLU(inplace=True)), (6,)),
    "Conv1d": (lambda: ended(nn.Conv1d(4, 8, 3, 2, 1, 2, 2), nn.GroupNorm(2, 8)), (4, 8)),
    "depthwise": (
        lambda: ended(nn.Conv2d(4, 8, 3, padding="same", groups=4), nn.BatchNorm2d(8)),
        (4, 5, 5),
    ),
    "transposed": (lambda: ended(nn.ConvTranspose2d(2, 3, 2)), (2, 4, 4)),
    "sequences": (lambda: ended(nn.Linear(6, 5), nn.LayerNorm(5), nn.RMSNorm(5)), (3, 6)),
    "attention": (Attention, (3, 6)),
    "attention with more": (lambda: Attention(add_bias_kv=True), (3, 6)),
    "tokens": (Tokens, (3, 6)),
    "tied": (Tied, (3, 6)),
}


@pytest.mark.parametrize("output", list(Output))
@pytest.mark.parametrize("kind", KINDS)
def test_the_sensitivity_is_that_of_plain_autograd(kind, output):
    build, shape = KINDS[kind]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network, inputs = build().eval(), torch.rand(3, *shape)
        network(inputs)
    # Probabilities near 0 and 1 leave float32 few digits of a derivative.
    network, inputs = network.double(), inputs.double()
    wanted = [weight_jacobian(network, one, SHOWS[output]).square().sum() for one in inputs]
    found = weight_sensitivity(network, inputs, output=output)
    torch.testing.assert_close(found, torch.stack(wanted), rtol=1e-4, atol=0.0)


def measure(network, images, **changes):
    return weight_sensitivity(network, images, output=Output.LOGITS, **changes)


def test_some_parameters_count_by_themselves(tiny, images):
    names = ["1.bias", "0.weight"]
    wanted = exact_sensitivity(tiny, images, output=Output.LOGITS, parameters=names)
    torch.testing.assert_close(measure(tiny, images, parameters=names), wanted)
    others = [name for name, _ in tiny.named_parameters() if not name.startswith("0.")]
    torch.testing.assert_close(
        measure(tiny, images, excluded=["0"]), measure(tiny, images, parameters=others)
    )


@pytest.mark.parametrize("entries", [1, 3000])
def test_memory_changes_nothing_but_the_pieces(tiny, images, entries, monkeypatch):
    whole = measure(tiny, images)
    monkeypatch.setattr(module, "ENTRIES", entries)
    torch.testing.assert_close(measure(tiny, images), whole)


def test_what_is_excluded_needs_to_be_there_and_something_to_be_left(tiny, images):
    with refuses(InvalidArgumentError, field="excluded"):
        measure(tiny, images, excluded=["head", "0", "2"])
    with refuses(InvalidArgumentError, field="excluded"):
        measure(tiny, images, parameters=["0.bias"], excluded=["0"])
