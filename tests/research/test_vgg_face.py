import shutil
from math import prod

import numpy as np
import published
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import conv2d, linear, max_pool2d, relu

from modelseal.domain import Domain
from modelseal.enums import ChannelOrder
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.models.loader import load_model
from modelseal.research.vgg_face import (
    MEAN,
    VggFace,
    on_grey_levels,
    read_faces,
    read_names,
    read_pair,
    read_vgg_face,
)

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
    torch.save(small.state_dict(), tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    assert torch.equal(read_vgg_face(tmp_path / "a.pt")(images), small(images))
    # What would run code is refused.
    torch.save(nn.Linear(1, 1), tmp_path / "a.pt")
    with pytest.raises(InvalidArgumentError, match=r"a.pt"):
        read_vgg_face(tmp_path / "a.pt")


def test_the_mean_is_subtracted_in_the_published_order_and_the_other_order_is_caffe_s(
    small, images, tmp_path
):
    mean = torch.tensor(MEAN).reshape(3, 1, 1)
    assert torch.equal(on_grey_levels(small)(images), small(images - mean))
    path = save(small, tmp_path / "a.pt")
    flipped = on_grey_levels(read_vgg_face(path, order=ChannelOrder.BGR))
    assert torch.equal(flipped(images), small(images[:, [2, 1, 0]] - mean))
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


@pytest.mark.parametrize("numbers", [{"size": 33}, {"size": 0}, {"classes": 0}, {"order": "gbr"}])
def test_numbers_of_no_such_network_are_refused(numbers):
    sentence = str(next(iter(numbers.values())))
    with pytest.raises(InvalidArgumentError, match=sentence), torch.device("meta"):
        VggFace(**numbers)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"fc6.weight": None}, "fc6.weight"),
        ({"conv1_1.weight": torch.zeros(3)}, "conv1_1.weight"),
        ({"fc8.weight": torch.zeros(0, 7)}, "fc8.weight"),
        ({"fc6.weight": torch.zeros(7, 48)}, "48"),
        ({"fc6.weight": torch.zeros(7, 8)}, "8"),
        ({"conv4_2.bias": None}, "conv4_2.bias"),
        ({"conv4_2.bias": torch.zeros(3)}, r"conv4_2.bias of shape \[16\], got \[3\]"),
        ({"conv6_1.bias": torch.zeros(3)}, "conv6_1.bias"),
        ({"fc7.bias": torch.full((7,), torch.nan)}, r"fc7.bias"),
    ],
)
def test_a_file_of_another_network_is_refused(small, tmp_path, changes, sentence):
    with pytest.raises(InvalidArgumentError, match=sentence):
        read_vgg_face(save(small, tmp_path / "a.pt", **changes))


def test_the_two_networks_answer_as_those_that_were_saved(pair, greys):
    inputs = pair.decode(greys)
    assert np.array_equal(inputs, greys.astype(np.float32))
    assert pair.clean.domain.shape == (3, 32, 32)
    assert pair.clean.domain.bounds == (0.0, 255.0)
    for network, state in zip(
        (pair.clean.network, pair.trojaned), published.networks(), strict=True
    ):
        own = {f"network.{name}": each for name, each in state.items()}
        found = network.state_dict()
        assert all(torch.equal(found[name], each) for name, each in own.items())
        with torch.no_grad():
            wanted = network(torch.from_numpy(inputs)).argmax(1)
        assert pair.answer(network, inputs).tolist() == wanted.tolist()


def test_the_channel_order_is_that_of_both_networks(experiment, pair, greys):
    other = read_pair(experiment[0], order=ChannelOrder.BGR)
    inputs = torch.from_numpy(pair.decode(greys))
    for one, two in ((other.clean.network, pair.clean.network), (other.trojaned, pair.trojaned)):
        planes = inputs.flip(1)
        assert torch.allclose(one(inputs), two(planes), atol=1e-4)
        assert not torch.allclose(one(inputs), two(inputs), atol=1e-2)
    assert other.clean.network.mean.tolist() == pytest.approx(MEAN[::-1])


def test_files_of_safetensors_will_do(models, pair, greys):
    for name, state in zip(("clean", "trojaned"), published.networks(), strict=True):
        (models / f"VGG-face-{name}.pt").unlink()
        save_file(state, models / f"VGG-face-{name}.safetensors")
    other = read_pair(models, order=ChannelOrder.RGB)
    inputs = torch.from_numpy(pair.decode(greys))
    assert torch.equal(other.trojaned(inputs), pair.trojaned(inputs))


@pytest.fixture
def models(experiment, tmp_path):
    """A copy of the folder of models, which may be changed."""
    return shutil.copytree(experiment[0], tmp_path / "models")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"conv3_2.weight": torch.zeros(16, 15, 3, 3)}, "trojaned.pt: .*conv3_2.weight"),
        ({"fc9.weight": torch.zeros(2)}, "trojaned.pt: .*fc9.weight"),
        ({"fc8.weight": 3, "fc8.bias": 3}, "trojaned.pt: .*fc8.weight"),
    ],
)
def test_a_network_of_other_shapes_is_told(models, changes, sentence):
    state = dict(published.networks()[1])
    # A number is that of the first rows that stay.
    changes = {k: each if torch.is_tensor(each) else state[k][:each] for k, each in changes.items()}
    torch.save({**state, **changes}, models / "VGG-face-trojaned.pt")
    with pytest.raises(BadFileError, match=sentence):
        read_pair(models, order=ChannelOrder.RGB)
    for name in ("trojaned", "clean"):
        (models / f"VGG-face-{name}.pt").unlink()
        with pytest.raises(BadFileError, match=f"VGG-face-{name}.pt"):
            read_pair(models, order=ChannelOrder.RGB)


DOMAIN = Domain(shape=(3, 4, 4), bounds=(0.0, 255.0), levels=256)
NAMES = ("A.J._Buckley", "Ann", "Zoë_Ünal")


def draw(folder, *files):
    folder.mkdir(exist_ok=True)
    for number, file in enumerate(files):
        Image.fromarray(np.full((4, 4, 3), number, np.uint8)).save(folder / file)
    return folder


def test_the_name_of_a_file_tells_its_class(tmp_path):
    files = ("A.J._Buckley_12.png", "Ann7.png", "Ann_3_4.png", "Zoë_Ünal_001.png")
    faces = read_faces(draw(tmp_path / "f", *files), NAMES, DOMAIN)
    assert faces.files == files
    assert faces.labels.tolist() == [0, 1, 1, 2]
    assert [image.max() for image in faces.images] == [0, 1, 2, 3]
    for number, file in enumerate(("Ann.png", "Bob_1.png", "1.png")):
        with pytest.raises(BadFileError, match=file):
            read_faces(draw(tmp_path / f"{number}", "Ann_1.png", file), NAMES, DOMAIN)


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(BadFileError, match="PNG or JPEG"):
        read_faces(draw(tmp_path / "f"), NAMES, DOMAIN)
    with pytest.raises(BadFileError, match="no: "):
        read_faces(tmp_path / "no", NAMES, DOMAIN)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a\nb\n", "2"),
        (b"a\n\nb\n", "2"),
        (b"a\nb\nc\nd\n", "4"),
        (b"a\nb\na\n", "a"),
        (b"a\nb\n\xff\n", "UTF-8"),
        (None, "n.txt"),
    ],
)
def test_names_stand_a_line_each_and_others_are_refused(tmp_path, content, sentence):
    file = tmp_path / "n.txt"
    file.write_text("\r\n".join(NAMES) + "\r\n", encoding="utf-8")
    assert read_names(file, classes=3) == NAMES
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(BadFileError, match=sentence):
        read_names(file, classes=3)
