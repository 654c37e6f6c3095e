import pickle
import re
import sys

import pytest
import torch
from refusals import refuses
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

import cifar
from modelseal.domain import Domain
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.models.loader import Model, check_weights, load_model, put_weights, read_weights

# Every kind of network that a test asks for by the name of its callable.
NETWORKS = '''
import torch
from torch import nn

import cifar

class Odd(nn.Module):
    """Returns what it is told to."""
    def __init__(self, answer):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.answer = answer
    def forward(self, inputs):
        return self.answer(inputs)

def flat(classes=3):
    return nn.Sequential(nn.Flatten(), nn.Linear(12, classes), nn.Dropout(0.5))
def pair():
    return Odd(lambda inputs: (inputs, inputs))
def whole():
    return Odd(lambda inputs: torch.zeros(len(inputs), 2, dtype=torch.int64))
def deep():
    return Odd(lambda inputs: inputs)
def lonely():
    return Odd(lambda inputs: torch.zeros(1, 3))
def one_class():
    return Odd(lambda inputs: torch.zeros(len(inputs), 1))
def infinite():
    return Odd(lambda inputs: torch.full((len(inputs), 2), torch.inf))
'''
PLAIN = """
[model]
factory = "owners_networks:flat"
weights = "w.safetensors"
[input]
shape = [3, 2, 2]
"""
PROGRAM = '[model]\nprogram = "p.pt2"\n[input]\nshape = [3, 2, 2]\nmean = [0.5]\nstd = [0.5]\n'
FLAT = {"1.weight": torch.linspace(-1, 1, 36).reshape(3, 12), "1.bias": torch.tensor([0.0, 1, 2])}
ODD = {"weight": torch.ones(1)}


@pytest.fixture
def written(tmp_path):
    """Writes a model file with all that it names."""

    def write(text=PLAIN, *, weights=FLAT, names=None):
        (tmp_path / "owners_networks.py").write_text(NETWORKS, encoding="utf-8")
        save_file(weights, tmp_path / "w.safetensors")
        if names is not None:
            (tmp_path / "names.txt").write_bytes(names)
        file = tmp_path / "model.toml"
        file.write_text(text, encoding="utf-8")
        return file

    yield write
    sys.modules.pop("owners_networks", None)


def test_a_network_is_ready_to_run(written):
    model = load_model(written())
    inputs = torch.rand(5, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    wanted = inputs.flatten(1) @ FLAT["1.weight"].T + FLAT["1.bias"]
    torch.testing.assert_close(model.network(inputs), wanted)
    assert not any(module.training for module in model.network.modules())
    assert not any(parameter.requires_grad for parameter in model.network.parameters())
    assert (model.domain.shape, model.domain.bounds, model.domain.levels) == (
        (3, 2, 2),
        (0, 1),
        256,
    )
    assert model.names == ()


def test_a_network_with_a_part_in_training_mode_is_no_model():
    network = nn.Sequential(nn.Linear(3, 2), nn.Dropout())
    domain = Domain(shape=(3,))
    for part in (network, network[1]):
        network.eval()
        part.train()
        with refuses(InvalidArgumentError, field="network"):
            Model(network, domain)
    assert Model(network.eval(), domain).network is network
    program = torch.export.export(network, (torch.rand(2, 3),)).module()
    assert Model(program, domain).network is program


def test_the_normalisation_is_part_of_the_network(written):
    text = PLAIN + "mean = [0.1, 0.2, 0.3]\nstd = [0.5]\nbounds = [-1, 1]\nlevels = 0\n"
    with refuses(BadFileError, field="input.std", match="got 3 and 1"):
        load_model(written(text))
    model = load_model(written(text.replace("[0.5]", "[0.5, 1, 2]")))
    inputs = torch.rand(2, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    mean, std = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.5, 1, 2])
    moved = (inputs - mean[:, None, None]) / std[:, None, None]
    wanted = moved.flatten(1) @ FLAT["1.weight"].T + FLAT["1.bias"]
    torch.testing.assert_close(model.network(inputs), wanted)
    assert (model.domain.bounds, model.domain.levels) == ((-1, 1), 0)


def test_the_classes_have_names(written):
    file = written(PLAIN + '[output]\nclasses = "names.txt"\n', names="cät\n dog \nox\n".encode())
    assert load_model(file).names == ("cät", "dog", "ox")


@pytest.mark.parametrize("names", [b"cat\ndog\n", b"cat\n\nox\n", b"", b"\xff\xfe\n", None])
def test_names_that_do_not_fit_are_refused(written, names):
    file = written(PLAIN + '[output]\nclasses = "names.txt"\n', names=names)
    with refuses(BadFileError, match=r"names\.txt"):
        load_model(file)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("owners_networks:flat", "owners_none:flat", "model.factory"),
        ("owners_networks:flat", "owners_networks:none", "model.factory"),
        ("w.safetensors", "none.pt", "model.weights"),
        ("[3, 2, 2]", "[]", "input"),
        ("[3, 2, 2]", "[3, 2, 2]\nlevels = 1", "input"),
        ("[3, 2, 2]", "[3, 2, 2]\nbounds = [1, 0]", "input"),
        ("[3, 2, 2]", "[3, 2, 2]\ncrop = [3, 2]", "input"),
        ("[3, 2, 2]", "[3, 2, 3]", "model"),
        ("[3, 2, 2]", "[3, 2, 2]\nmean=[0]\nstd=[0]", "input.std"),
        ("[input]", "[model.arguments]\nclasses = 4\n[input]", "model.weights"),
        ("[input]", "[model.arguments]\nclass = 4\n[input]", "model.factory"),
        ("[input]", 'device = "gpu"\n[input]', "model.device"),
        (PLAIN, PROGRAM, "model.program"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_the_path_of_its_key(written, old, new, field):
    file = written(PLAIN.replace(old, new))
    with refuses(BadFileError, field=field, file=file):
        load_model(file)


@pytest.mark.parametrize(
    ("factory", "came"),
    [
        ("pair", "tuple"),
        ("whole", r"torch.int64 of \[1, 2\]"),
        ("deep", r"torch.float32 of \[1, 3, 2, 2\]"),
        ("lonely", r"\[1, 3\] for one and \[1, 3\] for two"),
        ("one_class", r"\[1, 1\] for one and \[2, 1\] for two"),
        ("infinite", "finite"),
    ],
)
def test_a_network_without_proper_scores_is_refused(written, factory, came):
    with refuses(BadFileError, field="model", match=came):
        load_model(written(PLAIN.replace("flat", factory), weights=ODD))


def test_weights_that_are_not_finite_are_refused(written):
    weights = {**FLAT, "1.bias": torch.tensor([0, torch.nan, 0])}
    with refuses(BadFileError, field="model.weights", match=r"1\.bias"):
        load_model(written(weights=weights))


def export(folder, *, batch):
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 3)).eval()
    program = torch.export.export(
        network,
        (torch.rand(3, 3, 2, 2)[:batch],),
        dynamic_shapes=(None if batch == 1 else ({0: torch.export.Dim("batch")},)),
    )
    torch.export.save(program, folder / "p.pt2")
    return network


def test_a_program_brings_its_own_weights(written, tmp_path):
    network = export(tmp_path, batch=3)
    inputs = torch.rand(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    shown = load_model(written(PROGRAM)).network
    torch.testing.assert_close(shown(inputs), network((inputs - 0.5) / 0.5))
    assert not any(parameter.requires_grad for parameter in shown.parameters())


def test_a_program_for_one_batch_size_is_refused_with_the_way_out(written, tmp_path):
    export(tmp_path, batch=1)
    with refuses(BadFileError, field="model", match="dynamic batch axis"):
        load_model(written(PROGRAM))


@pytest.mark.real
def test_the_real_network_comes_out_of_a_model_file(tmp_path, resnet20, photos):
    text = f"""
    [model]
    factory = "modelseal.research.cifar_resnet:cifar_resnet"
    weights = "{cifar.data_folder() / "cifar10_resnet20.safetensors"}"
    [input]
    shape = [3, 32, 32]
    mean = [0.485, 0.456, 0.406]
    std = [0.229, 0.224, 0.225]
    """
    (tmp_path / "model.toml").write_text(text, encoding="utf-8")
    model = load_model(tmp_path / "model.toml")
    inputs = photos[0][:8]
    assert torch.equal(model.network(inputs), resnet20.network(inputs))
    assert model.domain == resnet20.domain


def test_a_raw_image_is_resized_cropped_and_then_normalised(written):
    keys = "resize = [6, 4]\ncrop = [2, 2]\nfilter = 'bicubic'\nmean = [0.5]\nstd = [0.25]\n"
    model = load_model(written(PLAIN.replace("[3, 2, 2]", "[3, 12, 8]") + keys))
    assert model.domain.shape == (3, 12, 8)
    images = torch.rand(2, 3, 12, 8, generator=torch.Generator().manual_seed(0))
    small = functional.interpolate(images, size=(6, 4), mode="bicubic", antialias=True)
    small = (small.clamp(0, 1)[:, :, 2:4, 1:3] - 0.5) / 0.25
    wanted = small.flatten(1) @ FLAT["1.weight"].T + FLAT["1.bias"]
    torch.testing.assert_close(model.network(images), wanted, rtol=1e-4, atol=1e-4)


TENSORS = {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.PTH"])
def test_what_was_saved_is_read(tmp_path, name):
    file = tmp_path / name
    save_file(TENSORS, file) if name.endswith("tensors") else torch.save(TENSORS, file)
    shown = read_weights(file)
    assert set(shown) == set(TENSORS)
    assert all(torch.equal(shown[key], TENSORS[key]) for key in TENSORS)


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (pytest.fail, ("the code of a weights file ran",))

    file = tmp_path / "w.pt"
    file.write_bytes(pickle.dumps({"weight": Hostile()}, protocol=2))
    with refuses(InvalidArgumentError, match=r"w\.pt"):
        read_weights(file)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("w.pt", content) for content in ([torch.ones(1)], {"epoch": 3}, {3: torch.ones(1)})),
        *(("w.bin", b"junk"), ("w.safetensors", b"junk"), ("missing.pt", None)),
    ],
)
def test_anything_but_a_file_of_weights_is_refused(tmp_path, name, content):
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content:
        torch.save(content, tmp_path / name)
    with refuses(InvalidArgumentError, match=re.escape(name)):
        read_weights(tmp_path / name)


@pytest.mark.parametrize(
    ("weights", "problem"),
    [
        ({"weight": torch.ones(2, 3)}, "bias"),
        ({**TENSORS, "extra": torch.ones(1)}, "extra"),
        ({**TENSORS, "bias": torch.ones(3)}, r"bias of shape \[2\], got \[3\]"),
        (
            {**TENSORS, **{f"n{i}": torch.ones(1) for i in range(5)}},
            "n0, n1, n2 and 2 more",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(weights, problem):
    with refuses(InvalidArgumentError, match=problem):
        put_weights(nn.Linear(3, 2), weights)


@pytest.mark.parametrize("name", ["weight", "running_var"])
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_one_weight_that_is_not_finite_is_found(name, value):
    network = nn.BatchNorm2d(4)
    network.state_dict()[name][2] = value
    with refuses(InvalidArgumentError, match=name):
        check_weights(network)
