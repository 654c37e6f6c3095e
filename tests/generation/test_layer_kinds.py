import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from modelseal.generation.sensitivity import Output
from modelseal.research.ghost_norms import ghost_sensitivity
from modelseal.research.layer_kinds import Direct, Factors, square_sum


def factors(*, sizes, seed=0):
    batch, groups, directions, outside, inside, positions = sizes
    source = torch.Generator().manual_seed(seed)
    return Factors(
        slopes=torch.randn(batch, groups, directions, outside, positions, generator=source),
        features=torch.randn(batch, groups, inside, positions, generator=source),
    )


def multiply_out(made):
    """The derivative of each input and direction, product by product."""
    return torch.einsum("bgdmt,bgnt->bdgmn", made.slopes, made.features).flatten(2)


SIZES = st.tuples(*[st.integers(1, 4)] * 6)


@given(SIZES)
def test_the_sum_is_that_of_the_outer_products(sizes):
    made = factors(sizes=sizes)
    torch.testing.assert_close(made.add_up().values, multiply_out(made))


@given(SIZES)
def test_the_ghost_of_a_sum_is_as_long_as_the_sum(sizes):
    made = factors(sizes=sizes)
    wanted = multiply_out(made).square().sum(2)
    torch.testing.assert_close(made.square(), wanted, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(square_sum([made]), wanted, rtol=1e-4, atol=1e-4)


def test_the_cheaper_form_is_taken(monkeypatch):
    few, many = factors(sizes=(1, 1, 1, 30, 40, 2)), factors(sizes=(1, 1, 1, 3, 4, 50))
    assert few.ghostly
    assert not many.ghostly
    monkeypatch.setattr(Factors, "add_up", None)
    assert square_sum([few]).shape == (1, 1)
    monkeypatch.undo()
    monkeypatch.setattr(Factors, "square", None)
    assert square_sum([many]).shape == (1, 1)


@pytest.mark.parametrize("positions", [2, 60])
def test_two_uses_of_a_layer_are_more_positions_of_one_sum(positions):
    one, two = (factors(sizes=(2, 1, 3, 4, 5, positions), seed=seed) for seed in (1, 2))
    wanted = (multiply_out(one) + multiply_out(two)).square().sum(2)
    torch.testing.assert_close(square_sum([one, two]), wanted)


def test_uses_of_unlike_layers_are_added_up():
    one, two = factors(sizes=(2, 1, 3, 4, 6, 2)), factors(sizes=(2, 2, 3, 2, 6, 2), seed=1)
    other = Direct(values=torch.ones(2, 3, 24))
    wanted = (multiply_out(one) + multiply_out(two) + 1).square().sum(2)
    torch.testing.assert_close(square_sum([one, two, other]), wanted)
    torch.testing.assert_close(square_sum([other, other]), torch.full((2, 3), 96.0))


class Attention(nn.Module):
    """Attention of a sequence to itself or to half of itself."""

    def __init__(self, *, across=False, **settings):
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, **settings)
        self.head = nn.Linear(6, 4)
        self.across = across
        self.first = settings.get("batch_first", False)

    def forward(self, inputs):
        states = inputs if self.first else inputs.transpose(0, 1)
        others = states * 0.5 if self.across else states
        mixed, _ = self.attention(states, others, others, need_weights=self.across)
        return self.head(mixed.mean(1 if self.first else 0))


class Tokens(nn.Module):
    """A class token, positions and scales, as vision transformers have them."""

    def __init__(self):
        super().__init__()
        self.token, self.places = nn.Parameter(torch.rand(1, 1, 6)), nn.Parameter(torch.rand(4, 6))
        self.scale, self.shift = nn.Parameter(torch.rand(6)), nn.Parameter(torch.rand(()))
        self.head = nn.Linear(6, 4)

    def forward(self, inputs):
        states = torch.cat([self.token.expand(len(inputs), -1, -1), inputs], 1) + self.places
        states = torch.add(self.shift, torch.tanh(states) * self.scale)
        states = states + self.scale.mul(states.sin())
        return self.head(states.square()[:, 0])


class Tied(nn.Module):
    """One matrix in two layers, in a function and in the scores."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.second.weight = self.first.weight
        self.table = nn.Embedding(6, 6, padding_idx=0)
        self.table.weight = self.first.weight

    def forward(self, inputs):
        states = self.second(torch.tanh(self.first(inputs)))
        states = states + self.table((inputs[..., 0] * 6).long())
        return functional.linear(states.sin(), self.first.weight).sum(1)


class Lookup(nn.Module):
    """A table of words."""

    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(7, 5), nn.Linear(5, 4)

    def forward(self, inputs):
        return self.head(torch.tanh(self.table((inputs * 7).long()).sum(1)))


class Windows(nn.Module):
    """Windows of each input stacked on the batch axis, as some transformers do."""

    def __init__(self):
        super().__init__()
        self.filters, self.inner, self.head = nn.Conv1d(2, 5, 2), nn.Linear(5, 5), nn.Linear(5, 4)
        self.norm = nn.BatchNorm1d(5)

    def forward(self, inputs):
        windows = self.norm(self.filters(inputs.reshape(-1, 2, 3)))
        states = torch.tanh(self.inner(windows.transpose(1, 2))).mean(1)
        return self.head(states.view(len(inputs), -1, 5).sum(1).sin())


def row(*layers):
    return nn.Sequential(*layers)


def ended(*layers):
    """Layers, and a linear one behind them."""
    return nn.Sequential(*layers, nn.Softplus(), nn.Flatten(), nn.LazyLinear(4))


KINDS = {
    "vectors": (lambda: row(nn.Linear(6, 5), nn.ReLU(inplace=True), nn.Linear(5, 4)), (6,)),
    "no bias": (lambda: row(nn.Linear(6, 5, bias=False), nn.Tanh(), nn.Linear(5, 4)), (6,)),
    "sequences": (lambda: ended(nn.Linear(6, 5), nn.LayerNorm(5), nn.Linear(5, 3)), (3, 6)),
    "many positions": (lambda: ended(nn.Linear(2, 2), nn.LayerNorm((40, 2))), (40, 2)),
    "Conv1d": (lambda: ended(nn.Conv1d(4, 8, 3, 2, 1, 2, 2), nn.GroupNorm(2, 8)), (4, 8)),
    "Conv2d": (lambda: ended(nn.Conv2d(4, 6, (3, 2), (1, 2), (2, 1), groups=2)), (4, 6, 6)),
    "large Conv2d": (lambda: ended(nn.Conv2d(8, 30, 3)), (8, 4, 4)),
    "depthwise": (
        lambda: ended(nn.Conv2d(4, 8, 3, padding="same", groups=4), nn.BatchNorm2d(8)),
        (4, 5, 5),
    ),
    "reflected": (
        lambda: ended(nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect", dilation=1)),
        (2, 4, 4),
    ),
    "valid": (lambda: ended(nn.Conv2d(2, 3, 2, padding="valid", dilation=2)), (2, 5, 5)),
    "Conv3d": (lambda: ended(nn.Conv3d(2, 3, (1, 3, 3), padding="same")), (2, 2, 4, 4)),
    "BatchNorm1d": (lambda: row(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 4)), (6,)),
    "InstanceNorm": (lambda: ended(nn.Conv2d(2, 3, 2), nn.InstanceNorm2d(3)), (2, 4, 4)),
    "RMSNorm": (lambda: ended(nn.RMSNorm(6), nn.Linear(6, 3)), (3, 6)),
    "attention": (lambda: Attention(batch_first=True), (3, 6)),
    "attention, sequence first": (lambda: Attention(bias=False), (3, 6)),
    "attention to others": (lambda: Attention(across=True, batch_first=True), (3, 6)),
    "encoder": (lambda: ended(nn.TransformerEncoderLayer(6, 2, 8, batch_first=True)), (3, 6)),
    "tokens": (Tokens, (3, 6)),
    "words": (Lookup, (9,)),
    "tied": (Tied, (3, 6)),
    "windows": (Windows, (6, 4)),
}


def make(kind):
    """A network of a kind with weights and statistics of no default, and inputs for it."""
    build, shape = KINDS[kind]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network, inputs = build().eval(), torch.rand(3, *shape)
        network(inputs)
        for name, value in (*network.named_parameters(), *network.named_buffers()):
            if value.is_floating_point():
                value.data.add_(0.1 + 0.4 * torch.rand(value.shape) * (name != "num_batches"))
    return network.requires_grad_(requires_grad=False), inputs


def differentiate(network, inputs, show, weight_jacobian):
    rows = [weight_jacobian(network, one, show).square().sum() for one in inputs]
    return torch.stack(rows)


@pytest.mark.parametrize("output", list(Output))
@pytest.mark.parametrize("kind", KINDS)
def test_the_ghost_norms_are_those_of_plain_autograd(kind, output, weight_jacobian):
    network, inputs = make(kind)
    # Probabilities near 0 and 1 leave float32 few digits of a derivative.
    network, inputs = network.double(), inputs.double()
    shows = {Output.LOGITS: lambda z: z, Output.PROBABILITIES: lambda z: z.softmax(1)}
    wanted = differentiate(network, inputs, shows[output], weight_jacobian)
    found = ghost_sensitivity(network, inputs, output=output)
    assert (wanted > 0).all()
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=0.0)


@pytest.mark.parametrize("kind", ["Conv1d", "depthwise", "sequences", "BatchNorm1d", "valid"])
def test_an_exported_program_has_the_same_ghost_norms(kind, weight_jacobian):
    network, inputs = make(kind)
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(network, (inputs,), dynamic_shapes=({0: batch},)).module()
    program.training = False
    found = ghost_sensitivity(program, inputs, output=Output.LOGITS)
    wanted = differentiate(network, inputs, lambda z: z, weight_jacobian)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=0.0)
