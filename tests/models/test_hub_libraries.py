"""Classifiers of the real torchvision and timm, which are not installed beside the usual torch."""

import json
import socket

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

from modelseal.cli.app import app
from modelseal.domain import Domain
from modelseal.models.builder import build_listed
from modelseal.models.images import write_images
from modelseal.models.transforms import Filter, Resized, Resizing

pytestmark = pytest.mark.hub
# One of each kind of layer that they are made of: the smallest that there are.
SMALL = {
    "torchvision:squeezenet1_1": 64,
    "torchvision:mobilenet_v3_small": 64,
    "torchvision:shufflenet_v2_x0_5": 64,
    "torchvision:resnet18": 64,
    "timm:test_vit.r160_in1k": 160,
    "timm:test_convnext": 64,
    "timm:test_efficientnet": 64,
    "timm:test_resnet": 64,
}
SEALED = ("torchvision:shufflenet_v2_x0_5", "timm:test_vit.r160_in1k")


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Nothing is downloaded: whoever wants to is told so."""

    def refuse(*_):
        pytest.fail("it wants to connect")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def names(library):
    if library == "timm":
        # There are more than a thousand.
        return pytest.importorskip("timm").list_models()[::25]
    models = pytest.importorskip("torchvision.models")
    return models.list_models(module=models)


# Some of torchvision say that their random weights will be drawn in another way.
@pytest.mark.filterwarnings("ignore:The default weight initialization:FutureWarning")
@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_every_classifier_that_is_listed_is_built_without_weights(library, tmp_path):
    # Those of torchvision draw their random weights in a way that needs numbers.
    listed = [name for name in names(library) if not name.startswith("regnet_")]
    assert len(listed) > 40
    for name in listed:
        with torch.device("meta"):
            network = build_listed(f"{library}:{name}", {"num_classes": 5}, folder=tmp_path)
        assert any(parameter.numel() for parameter in network.parameters()), name


@pytest.mark.parametrize(("factory", "size"), SMALL.items())
def test_a_classifier_has_the_classes_that_are_asked_for(factory, size, tmp_path):
    network = build_listed(factory, {"num_classes": 5}, folder=tmp_path).eval()
    assert network(torch.rand(2, 3, size, size)).shape == (2, 5)


def settle(network, images):
    """Gives a network of random weights the statistics of images, and scores that vary."""
    with torch.no_grad():
        network.train()
        for _ in range(20):
            network(images)
        network.eval()
        last = [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1]
        spread = network(images).std(0).mean()
        last.weight.div_(spread)
        last.bias.div_(spread)
        last.bias.sub_(network(images).mean(0))


def write_model(folder, name, factory, network):
    save_file(network.state_dict(), folder / f"{name}.safetensors")
    path = folder / f"{name}.toml"
    path.write_text(
        f'[model]\nfactory = "{factory}"\nweights = "{name}.safetensors"\n'
        "arguments = { num_classes = 5 }\n"
        f"[input]\nshape = [3, {SMALL[factory]}, {SMALL[factory]}]\n"
    )
    return path


def run(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.mark.parametrize("factory", SEALED)
def test_a_classifier_is_sealed_and_found_intact_and_another_one_tampered(
    factory, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    domain = Domain(shape=(3, SMALL[factory], SMALL[factory]))
    codes = np.random.default_rng(0).integers(0, 256, (16, *domain.shape), dtype=np.uint8)
    write_images(tmp_path / "images", codes[:6], domain)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_listed(factory, {"num_classes": 5}, folder=tmp_path)
        settle(network, torch.from_numpy(domain.decode(codes)))
        model = write_model(tmp_path, "model", factory, network)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.01 * parameter.abs().mean() * torch.randn_like(parameter))
        changed = write_model(tmp_path, "changed", factory, network)
    sealed = run(
        *("seal", model, "images", "-o", "out.seal", "--samples", 2, "--power", "none"),
        *("--tie", 3),
    )
    assert sealed.exit_code == 0, sealed.output
    intact = run("verify", "out.seal", model, "--json", "v.json")
    assert (intact.exit_code, intact.output.split(":")[0]) == (0, "INTACT"), intact.output
    assert json.loads((tmp_path / "v.json").read_text())["outcome"] == "intact"
    other = run("verify", "out.seal", changed)
    assert (other.exit_code, other.output.split(":")[0]) == (1, "TAMPERED"), other.output


@pytest.mark.parametrize("kind", list(Filter))
@pytest.mark.parametrize("size", [(8, 9), (40, 31)])
def test_images_are_resized_as_by_torchvision(kind, size):
    transforms = pytest.importorskip("torchvision.transforms.v2")
    images = torch.rand(4, 3, 20, 30, generator=torch.Generator().manual_seed(0))
    way = transforms.InterpolationMode(kind.value)
    wanted = transforms.functional.resize(images, list(size), way, antialias=True).clamp(0, 1)
    resizing = Resizing(shape=(3, 20, 30), bounds=(0.0, 1.0), resize=size, filter=kind)
    found = Resized(nn.Identity(), resizing)(images)
    torch.testing.assert_close(found, wanted, rtol=0.0, atol=2e-6)
