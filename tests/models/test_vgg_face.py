from math import prod

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import conv2d, linear, max_pool2d, relu

from modelseal.enums import ChannelOrder
from modelseal.errors import InvalidArgumentError
from modelseal.models.loader import load_model
from modelseal.research.vgg_face import MEAN, VggFace, on_grey_levels, read_vgg_face

SMALL = {"classes": 5, "width": 2, "hidden": 7, "size": 64}
CONVOLUTIONS = {
    "conv1_1": (64, 3), "conv1_2": (64, 64),
    "conv2_1": (128, 64), "conv2_2": (128, 128),
    "conv3_1": (256, 128), "conv3_2": (256, 256), "conv3_3": (256, 256),
    "conv4_1": (512, 256), "conv4_2": (512, 512), "conv4_3": (512, 512),
    "conv5_1": (512, 512), "conv5_2": (512, 512), "conv5_3": (512, 512),
}  # fmt: skip
LINEAR = {"fc6": (4096, 7 * 7 * 512), "fc7": (4096, 4096), "fc8": (2622, 4096)}


@pytest.fixture
def small():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VggFace(**SMALL).eval().requires_grad_(requires_grad=False)


@pytest.fixture
def images():
    return 255 * torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def save(network, path, **changes):
    state = {**network.state_dict(), **changes}
    torch.save({name: each for name, each in state.items() if each is not None}, path)
    return path


def test_the_network_has_the_names_the_shapes_and_the_145_million_weights_of_the_published_one():
    with torch.device("meta"):
        network = VggFace()
    wanted = {f"{name}.weight": (*shape, 3, 3) for name, shape in CONVOLUTIONS.items()}
    wanted |= {f"{name}.weight": shape for name, shape in LINEAR.items()}
    wanted |= {f"{name}.bias": shape[:1] for name, shape in (CONVOLUTIONS | LINEAR).items()}
    found = {name: tuple(each.shape) for name, each in network.state_dict().items()}
    assert found == wanted
    assert sum(map(prod, found.values())) == 145_002_878
    assert network(torch.zeros(2, 3, 224, 224, device="meta")).shape == (2, 2622)


def test_the_scores_are_those_of_thirteen_convolutions_five_poolings_and_three_linear_layers(
    small, images
):
    state, features = small.state_dict(), images
    for name in CONVOLUTIONS:
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        features = relu(conv2d(features, weight, bias, padding=1))
        if name in {"conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3"}:
            features = max_pool2d(features, 2, 2)
    features = features.flatten(1)
    for name in ("fc6", "fc7"):
        features = relu(linear(features, state[f"{name}.weight"], state[f"{name}.bias"]))
    wanted = linear(features, state["fc8.weight"], state["fc8.bias"])
    assert torch.equal(small(images), wanted)
    assert (wanted[0] != wanted[1]).all()


def test_a_file_tells_the_numbers_of_its_network(small, images, tmp_path):
    read = read_vgg_face(save(small, tmp_path / "a.pt"))
    assert torch.equal(read(images), small(images))
    assert (read.size, read.training, read.fc8.weight.requires_grad) == (64, False, False)


def test_a_file_that_an_older_torch_wrote_is_read_too(small, images, tmp_path):
    torch.save(small.state_dict(), tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    assert torch.equal(read_vgg_face(tmp_path / "a.pt")(images), small(images))


def test_the_mean_is_subtracted_from_red_green_blue_in_the_published_order(small, images):
    mean = torch.tensor(MEAN).reshape(3, 1, 1)
    assert torch.equal(on_grey_levels(small)(images), small(images - mean))


def test_the_other_order_is_that_of_caffe(small, images, tmp_path):
    path = save(small, tmp_path / "a.pt")
    flipped = on_grey_levels(read_vgg_face(path, order=ChannelOrder.BGR))
    blue_first = images[:, [2, 1, 0]] - torch.tensor(MEAN).reshape(3, 1, 1)
    assert torch.equal(flipped(images), small(blue_first))
    assert not torch.allclose(flipped(images), on_grey_levels(small)(images), atol=1e-6)


def test_a_model_file_can_name_it_as_its_factory(small, images, tmp_path):
    save_file(small.state_dict(), tmp_path / "a.safetensors")
    arguments = ", ".join(f"{name} = {number}" for name, number in SMALL.items())
    (tmp_path / "model.toml").write_text(
        '[model]\nfactory = "modelseal.research.vgg_face:VggFace"\nweights = "a.safetensors"\n'
        f"arguments = {{{arguments}}}\n[input]\nshape = [3, 64, 64]\nbounds = [0.0, 255.0]\n"
        f"mean = {list(MEAN)}\nstd = [1.0, 1.0, 1.0]\n"
    )
    assert torch.equal(
        load_model(tmp_path / "model.toml").network(images), on_grey_levels(small)(images)
    )


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ({"size": 33}, r"multiple of 32 .* 2622, 64, 4096 and 33"),
        ({"size": 0}, r"multiple of 32 .* 2622, 64, 4096 and 0"),
        ({"classes": 0}, r"are 0, 64, 4096 and 224"),
        ({"order": "gbr"}, r"order needs to be rgb or bgr, but is 'gbr'"),
    ],
)
def test_numbers_of_no_such_network_are_refused(numbers, sentence):
    with pytest.raises(InvalidArgumentError, match=sentence), torch.device("meta"):
        VggFace(**numbers)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"fc6.weight": None}, r"layers named conv1_1 to fc8 was wanted, but fc6.weight is miss"),
        ({"conv1_1.weight": torch.zeros(3)}, r"conv1_1.weight needs 4 axes, but has shape \[3\]"),
        ({"fc8.weight": torch.zeros(0, 7)}, r"fc8.weight needs 2 axes, but has shape \[0, 7\]"),
        ({"fc6.weight": torch.zeros(7, 48)}, r"16 inputs for each place of a square.*takes 48"),
        ({"fc6.weight": torch.zeros(7, 8)}, r"16 inputs for each place of a square.*takes 8"),
        ({"conv4_2.bias": None}, r"lacks conv4_2.bias"),
        ({"conv4_2.bias": torch.zeros(3)}, r"conv4_2.bias of shape \[16\], got \[3\]"),
        ({"conv6_1.bias": torch.zeros(3)}, r"has conv6_1.bias, unknown to the network"),
        ({"fc7.bias": torch.full((7,), torch.nan)}, r"fc7.bias"),
    ],
)
def test_a_file_of_another_network_is_refused(small, tmp_path, changes, sentence):
    with pytest.raises(InvalidArgumentError, match=sentence):
        read_vgg_face(save(small, tmp_path / "a.pt", **changes))


def test_a_file_that_would_run_code_is_refused(tmp_path):
    torch.save(nn.Linear(1, 1), tmp_path / "a.pt")
    with pytest.raises(InvalidArgumentError, match="cannot be read as tensors alone"):
        read_vgg_face(tmp_path / "a.pt")
