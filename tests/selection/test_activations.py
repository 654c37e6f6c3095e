import numpy as np
import pytest
import torch
from refusals import refuses
from torch import nn
from torch.nn import functional

from modelseal.errors import InvalidArgumentError
from modelseal.selection.activations import active_neurons, list_layers
from modelseal.selection.cover import cover

FUNCTIONS = {
    "relu": [
        nn.ReLU(),
        nn.ReLU(inplace=True),
        functional.relu,
        torch.relu,
        lambda x: functional.relu(x, inplace=True),
        lambda x: x.relu_(),
    ],
    "clamp": [
        lambda x: x.clamp(min=0),
        lambda x: x.clamp_(0, 6),
        lambda x: torch.clip(x, 0, None),
        lambda x: torch.clamp_min(x, 0.0),
    ],
    "gelu": [nn.GELU(), nn.GELU("tanh"), functional.gelu],
    "silu": [nn.SiLU(), nn.SiLU(inplace=True), functional.silu],
    "leaky_relu": [nn.LeakyReLU(), nn.LeakyReLU(inplace=True)],
    "hardtanh": [nn.ReLU6(), nn.ReLU6(inplace=True), nn.Hardtanh()],
    "elu": [nn.ELU(), nn.SELU()],
    "celu": [nn.CELU()],
    "prelu": [nn.PReLU()],
    "rrelu": [nn.RReLU()],
    "hardswish": [nn.Hardswish()],
    "mish": [nn.Mish()],
    "tanh": [nn.Tanh(), torch.tanh_],
    "sigmoid": [nn.Sigmoid(), lambda x: x.sigmoid_()],
    "hardsigmoid": [nn.Hardsigmoid()],
    "softplus": [nn.Softplus(beta=2)],
}


class Calls(nn.Module):
    """Functions one after another."""

    def __init__(self, *functions):
        super().__init__()
        self.functions = functions
        self.known = nn.ModuleList(one for one in functions if isinstance(one, nn.Module))

    def forward(self, inputs):
        for function in self.functions:
            inputs = function(inputs)
        return inputs


class Mixed(nn.Module):
    """Convolutions with nonlinearities as modules, functions and in place."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.gelu = nn.GELU()
        self.last = nn.Linear(4, 5)
        self.relu = nn.ReLU(inplace=True)

    def activations(self, inputs):
        first = functional.relu(self.norm(self.first(inputs)))
        second = self.gelu(first - 0.2)
        third = torch.relu(self.last(second.mean((2, 3))))
        return {"relu_0": first, "gelu_0": second, "relu_1": third}

    def forward(self, inputs):
        first = functional.relu(self.norm(self.first(inputs)))
        second = self.gelu(first - 0.2)
        return self.relu(self.last(second.mean((2, 3))))


@pytest.fixture
def mixed():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Mixed().eval()


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def by_hand(network, inputs, names):
    """One input at a time, from the outputs, without packing tricks."""
    rows = []
    for one in inputs.split(1):
        with torch.no_grad():
            outputs = network.activations(one)
        rows.append(np.concatenate([(outputs[name] > 0).numpy().ravel() for name in names]))
    return np.packbits(np.array(rows), axis=1)


@pytest.mark.parametrize(
    ("name", "function"), [(name, one) for name, all_ in FUNCTIONS.items() for one in all_]
)
def test_every_kind_of_nonlinearity_is_seen_and_says_whether_what_comes_in_is_positive(
    name, function
):
    inputs = numbers(5, 11)
    network = Calls(lambda x: x + 0, function)
    assert list_layers(network, inputs) == (f"{name}_0",)
    expected = np.packbits(inputs.numpy() > 0, axis=1)
    assert (active_neurons(network, inputs) == expected).all()


def test_bits_are_those_of_the_positive_outputs_layer_after_layer(mixed):
    inputs = numbers(7, 3, 6, 6)
    bits = active_neurons(mixed, inputs)
    assert (bits == by_hand(mixed, inputs, ["relu_0", "gelu_0", "relu_1"])).all()


def test_an_exported_program_has_the_same_neurons_as_its_network(mixed):
    inputs = numbers(5, 3, 6, 6)
    shapes = ({0: torch.export.Dim("batch")},)
    exported = torch.export.export(mixed, (inputs,), dynamic_shapes=shapes).module()
    assert list_layers(exported, inputs) == list_layers(mixed, inputs)
    assert (active_neurons(exported, inputs) == active_neurons(mixed, inputs)).all()


def test_the_network_and_the_inputs_are_left_as_they_were(mixed):
    mixed.train()
    mixed.gelu.eval()
    before = {name: value.clone() for name, value in mixed.state_dict().items()}
    inputs = numbers(4, 3, 6, 6)
    network = Calls(lambda x: x.sub_(0.5), mixed)
    kept = inputs.clone()
    active_neurons(network, inputs)
    assert (inputs == kept).all()
    assert mixed.training
    assert mixed.norm.training
    assert not mixed.gelu.training
    assert all((before[name] == value).all() for name, value in mixed.state_dict().items())


def test_neurons_behind_another_batch_axis_belong_to_their_input():
    inputs = numbers(4, 3, 2)
    network = Calls(lambda x: x.transpose(0, 1).contiguous(), nn.ReLU())
    expected = np.packbits(inputs.numpy().reshape(4, -1) > 0, axis=1)
    assert (active_neurons(network, inputs) == expected).all()


def test_a_function_of_a_weight_alone_is_no_layer():
    weight = nn.Parameter(numbers(64))
    network = Calls(lambda x: functional.softplus(weight)[:3] * x, nn.ReLU())
    assert list_layers(network, numbers(4, 3)) == ("relu_0",)


def test_the_nonlinearity_inside_a_fused_encoder_layer_is_seen():
    layer = nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True)
    inputs = numbers(3, 5, 8)
    assert list_layers(layer, inputs) == ("gelu_0",)
    assert active_neurons(layer, inputs).shape == (3, 5 * 16 // 8)
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.clamp(-1, 1),
        lambda x: x.clamp(max=1),
        lambda x: torch.clamp(x, min=torch.zeros(3)),
        lambda x: x.softmax(1),
        nn.Linear(3, 2),
    ],
)
def test_a_network_without_a_visible_nonlinearity_is_refused(function):
    with refuses(InvalidArgumentError):
        active_neurons(Calls(function), numbers(2, 3))


def test_unknown_layers_no_inputs_and_no_batch_are_refused(mixed):
    inputs = numbers(2, 3, 6, 6)
    with refuses(InvalidArgumentError, field="layers", match="relu_0, gelu_0, relu_1, got relu_7"):
        active_neurons(mixed, inputs, layers=["relu_7"])
    with refuses(InvalidArgumentError, field="layers"):
        active_neurons(mixed, inputs, layers=[])
    with refuses(InvalidArgumentError, field="inputs"):
        active_neurons(mixed, inputs[:0])
    with refuses(InvalidArgumentError, field="batch"):
        active_neurons(mixed, inputs, batch=0)


def test_the_real_network_has_a_bit_for_each_of_its_activations(resnet20, photos):
    inputs = photos[0][:20]
    names = list_layers(resnet20.network, inputs)
    bits = active_neurons(resnet20.network, inputs, batch=8)
    # 16 x 32 x 32 after the stem and in each of the six places of the first stage, then half.
    assert names == tuple(f"relu_{number}" for number in range(19))
    assert bits.shape == (20, (7 * 16384 + 6 * 8192 + 6 * 4096) // 8)
    picks = cover(bits, 5)
    fired = np.unpackbits(bits, axis=1).astype(bool)
    assert picks.covered == fired[list(picks.order)].any(axis=0).sum()
    assert picks.order[0] == fired.sum(axis=1).argmax()
