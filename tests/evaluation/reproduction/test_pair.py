import shutil

import numpy as np
import published
import pytest
import torch
from safetensors.torch import save_file

from modelseal.enums import ChannelOrder
from modelseal.errors import BadFileError
from modelseal.research.vgg_face import MEAN, read_pair


@pytest.fixture
def models(experiment, tmp_path):
    """A copy of the folder of models, which may be changed."""
    return shutil.copytree(experiment[0], tmp_path / "models")


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


def test_a_missing_file_is_told(models, tmp_path):
    (models / "VGG-face-trojaned.pt").unlink()
    with pytest.raises(BadFileError, match=r"models: VGG-face-trojaned.pt was wanted .* missing"):
        read_pair(models, order=ChannelOrder.RGB)
    with pytest.raises(BadFileError, match=r"no: VGG-face-clean.pt was wanted"):
        read_pair(tmp_path / "no", order=ChannelOrder.RGB)


@pytest.mark.parametrize(
    ("name", "tensor", "sentence"),
    [
        ("conv3_2.weight", torch.zeros(16, 15, 3, 3), r"trojaned.pt: .*needs conv3_2.weight of sh"),
        ("fc9.weight", torch.zeros(2), r"trojaned.pt: .*has fc9.weight, unknown"),
    ],
)
def test_a_network_of_other_shapes_is_told(models, name, tensor, sentence):
    state = {**published.networks()[1], name: tensor}
    torch.save(state, models / "VGG-face-trojaned.pt")
    with pytest.raises(BadFileError, match=sentence):
        read_pair(models, order=ChannelOrder.RGB)


def test_two_networks_of_different_shapes_are_told(models):
    state = dict(published.networks()[1])
    state["fc8.weight"], state["fc8.bias"] = state["fc8.weight"][:3], state["fc8.bias"][:3]
    torch.save(state, models / "VGG-face-trojaned.pt")
    with pytest.raises(
        BadFileError, match=r"trojaned.pt: fc8.weight of shape \[4, 16\] was wanted"
    ):
        read_pair(models, order=ChannelOrder.RGB)
