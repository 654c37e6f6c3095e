import copy
import pickle
import sys

import onnx
import pytest
import torch
from learned import digits, reader
from torch import nn

from modelseal.errors import MissingExtraError, NotAppliedError
from modelseal.models.transforms import Normalised
from modelseal.tampering.quantization import OnnxInt8, TorchInt8

BOTH = pytest.mark.parametrize("recipe", [TorchInt8, OnnxInt8])


@pytest.fixture(scope="module")
def scans():
    return digits()[0][:96]


@pytest.fixture(scope="module")
def quantised(scans):
    return {recipe: recipe(scans)(reader()) for recipe in (TorchInt8, OnnxInt8)}


def int8_weights(network):
    """The packed weights of torch's integer kernels, unpacked."""
    packed = [
        module.weight()
        for module in network.modules()
        if "quantized" in type(module).__module__ and callable(getattr(module, "weight", None))
    ]
    assert all(weight.dtype == torch.qint8 for weight in packed)
    return packed


def test_torch_runs_integer_kernels_with_8_bit_weights(quantised):
    weights = int8_weights(quantised[TorchInt8])
    plain = [parameter for parameter in reader().parameters() if parameter.ndim >= 2]
    assert [weight.shape for weight in weights] == [weight.shape for weight in plain]
    assert not list(quantised[TorchInt8].parameters())
    for weight, wanted in zip(weights, plain, strict=True):
        steps = weight.q_per_channel_scales()
        apart = (weight.dequantize() - wanted).abs().flatten(1).amax(dim=1)
        assert bool((apart <= 0.51 * steps).all())


def test_the_onnx_file_holds_8_bit_weights(quantised):
    graph = onnx.load_from_string(quantised[OnnxInt8].program).graph
    shapes = {
        tuple(tensor.dims)
        for tensor in graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) >= 2
    }
    assert {(8, 1, 3, 3), (16, 8, 3, 3)} <= shapes
    assert {tuple(sorted(shape)) for shape in shapes} >= {(32, 256), (10, 32)}
    assert any(node.op_type == "QuantizeLinear" for node in graph.node)
    assert not list(quantised[OnnxInt8].parameters())


@BOTH
def test_the_scores_move_and_the_accuracy_stays(recipe, quantised, accuracy):
    _, _, images, labels = digits()
    with torch.no_grad():
        moves = (quantised[recipe](images) - reader()(images)).abs().amax(dim=1)
    assert float(moves.median()) > 1e-3
    plain = accuracy(reader(), images, labels)
    assert plain > 0.9
    assert abs(accuracy(quantised[recipe], images, labels) - plain) < 0.02
    scores = quantised[recipe](images[:1].double().requires_grad_())
    assert (scores.dtype, scores.shape, scores.requires_grad) == (torch.float32, (1, 10), False)
    assert not quantised[recipe].training


@BOTH
def test_the_same_recipe_gives_the_same_scores_and_leaves_the_network(recipe, quantised, scans):
    before = {name: tensor.clone() for name, tensor in reader().state_dict().items()}
    again = recipe(scans)(reader())
    assert torch.equal(again(scans), quantised[recipe](scans))
    assert torch.equal(copy.deepcopy(again)(scans), again(scans))
    for name, tensor in reader().state_dict().items():
        assert torch.equal(tensor, before[name])
    assert not any(parameter.requires_grad for parameter in reader().parameters())


def test_a_network_in_onnx_can_be_pickled(quantised, scans):
    again = pickle.loads(pickle.dumps(quantised[OnnxInt8]))  # noqa: S301 (our own bytes)
    assert torch.equal(again(scans), quantised[OnnxInt8](scans))


def test_parts_that_torch_can_trace_are_quantised_where_the_whole_cannot(tiny, coloured):
    images, _ = coloured
    network = Normalised(tiny, mean=[0.3, 0.1, 0.7], std=[0.3, 0.1, 0.7]).eval()
    changed = TorchInt8(images)(network)
    assert len(int8_weights(changed)) == 2
    assert not list(changed.parameters())


class Branching(nn.Module):
    """Cannot be traced; its parts are called in ways that can and that cannot."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3, 4, 3), nn.Linear(144, 3)])
        self.pair = nn.Bilinear(3, 3, 3)

    def forward(self, inputs):
        scores = self.layers[1](self.layers[0](inputs).flatten(1))
        return scores + 1e-3 * self.pair(scores, scores) if scores.sum() > -1e9 else scores


def test_layers_are_found_in_lists_and_what_takes_two_tensors_is_left(coloured):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Branching().eval()
    changed = TorchInt8(coloured[0])(network)
    assert [tuple(parameter.shape) for parameter in changed.parameters()] == [(3, 3, 3), (3,)]


@BOTH
def test_a_network_that_eight_bits_ruin_is_not_applied(recipe, coloured):
    # One feature takes the whole range of 8 bits, and the others decide.
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 3, bias=True))
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        nn.init.normal_(network[1].weight, std=0.01)
        network[1].bias.copy_(torch.tensor([0.0, 0.0, 0.0]))
        network.append(nn.Linear(3, 3))
        network[2].weight.copy_(torch.eye(3))
        network[2].bias.zero_()
        network[1].bias += 1e4
    with pytest.raises(NotAppliedError, match=r"agrees with the given one on \d+% of the inputs"):
        recipe(coloured[0])(network)


@pytest.mark.parametrize("missing", ["onnxruntime.quantization"])
def test_without_the_extra_a_sentence_says_which(missing, scans, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError, match=r"Quantising with ONNX Runtime needs .*\[export\]"):
        OnnxInt8(scans)(reader())


@pytest.mark.real
@BOTH
def test_the_real_network_keeps_its_accuracy_in_8_bits(recipe, resnet20, photos, accuracy):
    images, labels = (tensor[:150] for tensor in photos)
    plain = accuracy(resnet20.network, images, labels)
    changed = recipe(images[:32])(resnet20.network)
    assert abs(accuracy(changed, images, labels) - plain) < 0.05


class Bare(nn.Module):
    """Has nothing that torch quantises, and a branch that ONNX cannot express."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(192, 3))

    def forward(self, inputs):
        return inputs.flatten(1) @ self.weight if inputs.sum() > -1 else inputs


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        (TorchInt8, "PyTorch's quantiser found nothing that it can"),
        (OnnxInt8, "ONNX Runtime's quantiser does not take this network: "),
    ],
)
def test_what_a_quantiser_does_not_take_is_not_applied(recipe, told, coloured):
    with pytest.raises(NotAppliedError, match=told):
        recipe(coloured[0])(Bare())
