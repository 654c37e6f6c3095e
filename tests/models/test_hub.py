import sys
from types import SimpleNamespace

import pytest
import torch
from refusals import refuses
from torch import nn

from modelseal.errors import InvalidArgumentError, MissingExtraError
from modelseal.models.builder import REFUSED, build_listed

TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 16,
    "patch_size": 8,
    "num_labels": 5,
}


def fake(monkeypatch, name, **members):
    module = SimpleNamespace(**members)
    monkeypatch.setitem(sys.modules, name, module)
    return module


def make(**settings):
    return nn.Linear(3, settings.pop("num_classes", 4), **settings)


@pytest.fixture
def torchvision(monkeypatch):
    """A torchvision of one classifier, which must not be asked for weights."""

    def get_model(name, *, weights, **settings):
        assert (name, weights) == ("tinynet", None)
        return make(**settings)

    models = fake(
        monkeypatch,
        "torchvision.models",
        list_models=lambda module: ["tinynet", "largenet"] if module is models else ["mask_rcnn"],
        get_model=get_model,
    )
    return fake(monkeypatch, "torchvision", models=models)


@pytest.fixture
def timm(monkeypatch):
    def create_model(name, *, pretrained, **settings):
        assert pretrained is False
        return make(**settings)

    names = ["vit_tiny", "vit_small", "broken"]
    return fake(monkeypatch, "timm", create_model=create_model, list_models=lambda: names)


@pytest.mark.parametrize(
    "factory", ["torchvision:tinynet", "timm:vit_tiny", "timm:vit_tiny.a_in1k"]
)
def test_a_classifier_is_built_by_name_with_its_arguments(factory, torchvision, timm, tmp_path):
    network = build_listed(factory, {"num_classes": 7, "bias": False}, folder=tmp_path)
    assert network.weight.shape == (7, 3)
    assert network.bias is None


@pytest.mark.parametrize(
    ("factory", "near"),
    [
        ("torchvision:tinnynet", "tinynet"),
        ("torchvision:mask_rcnn", "2 others"),
        ("timm:vit_tinny", "vit_tiny"),
        ("timm:hf-hub:owner/vit", "3 others"),
        ("timm:", "3 others"),
    ],
)
def test_another_name_is_answered_with_near_ones(factory, near, torchvision, timm, tmp_path):
    with refuses(InvalidArgumentError, match=near):
        build_listed(factory, {}, folder=tmp_path)


@pytest.mark.parametrize("library", REFUSED)
def test_weights_from_elsewhere_are_refused_before_anything_is_imported(library, tmp_path):
    for word in REFUSED[library]:
        with refuses(InvalidArgumentError, match=rf" {word}$"):
            build_listed(f"{library}:x", {word: True, "depth": 1}, folder=tmp_path)


@pytest.mark.parametrize("library", REFUSED)
def test_a_missing_library_is_an_extra(library, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setattr(
        "modelseal.models.builder.importlib.import_module",
        lambda name: (_ for _ in ()).throw(ModuleNotFoundError(name=name)),
    )
    with refuses(MissingExtraError, match=rf"modelseal\[{library}\]"):
        build_listed(f"{library}:x", {}, folder=tmp_path)


@pytest.mark.parametrize("error", [RuntimeError("operator is missing"), ModuleNotFoundError("x")])
def test_a_broken_library_is_said(tmp_path, monkeypatch, error):
    monkeypatch.setattr(
        "modelseal.models.builder.importlib.import_module", lambda _: (_ for _ in ()).throw(error)
    )
    with refuses(InvalidArgumentError, match=r"timm .*: \w+Error: "):
        build_listed("timm:x", {}, folder=tmp_path)


def test_a_builder_that_fails_is_quoted(timm, tmp_path):
    with refuses(InvalidArgumentError, match=r"timm:vit_tiny .*TypeError: .*depth"):
        build_listed("timm:vit_tiny", {"depth": 3}, folder=tmp_path)
    timm.create_model = lambda name, **_: name
    with refuses(InvalidArgumentError, match="got str"):
        build_listed("timm:vit_tiny", {}, folder=tmp_path)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A folder that transformers wrote, and the network in it."""
    transformers = pytest.importorskip("transformers")
    transformers.utils.logging.disable_progress_bar()
    folder = tmp_path_factory.mktemp("checkpoints")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = transformers.ViTForImageClassification(transformers.ViTConfig(**TINY)).eval()
    network.save_pretrained(folder / "vit")
    return folder, network


def test_a_checkpoint_of_transformers_gives_its_logits(checkpoint, capfd):
    folder, network = checkpoint
    logging = pytest.importorskip("transformers").utils.logging
    logging.enable_progress_bar()
    found = build_listed("transformers:vit", {}, folder=folder).eval()
    assert logging.is_progress_bar_enabled()
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(found(images), network(images).logits)
    assert all(each.dtype == torch.float32 for each in found.parameters())
    assert capfd.readouterr() == ("", "")


def test_weights_that_are_missing_are_never_drawn_at_random(checkpoint):
    with refuses(InvalidArgumentError, match=r"missing keys .* vit\."):
        build_listed("transformers:vit", {"num_hidden_layers": 2}, folder=checkpoint[0])


def test_what_is_no_checkpoint_is_refused(checkpoint, tmp_path):
    for name in ("", "nothing"):
        with refuses(InvalidArgumentError, match=r"config\.json"):
            build_listed(f"transformers:{name}", {}, folder=tmp_path)
    config = (checkpoint[0] / "vit" / "config.json").read_text()
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "config.json").write_text(config)
    with refuses(InvalidArgumentError, match=r"\.safetensors"):
        build_listed("transformers:bare", {}, folder=tmp_path)
    (tmp_path / "bare" / "model.safetensors").write_bytes(b"junk")
    with refuses(InvalidArgumentError, match="transformers:bare"):
        build_listed("transformers:bare", {}, folder=tmp_path)
