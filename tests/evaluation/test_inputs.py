import numpy as np
import planned
import pytest
import torch
from refusals import refuses
from torch import nn

from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.evaluation import inputs
from modelseal.evaluation.inputs import (
    derive_seed,
    digest_structure,
    every_variant,
    list_networks,
    open_network,
    sealing_variants,
    takes_gpu,
    view,
)
from modelseal.evaluation.plan import read_plan


def files(folder, *changes):
    path = planned.write_plan(folder, *changes)
    return list_networks(read_plan(path), path.parent)["small"]


def test_a_network_is_opened_once_with_its_inputs_and_some_to_learn_from(tmp_path, monkeypatch):
    opened = open_network(files(tmp_path))
    assert opened is open_network(files(tmp_path))
    with np.load(tmp_path / "test.npz") as arrays:
        assert np.array_equal(opened.naturals, arrays["images"])
        assert np.array_equal(opened.labels, arrays["labels"])
    data = opened.data
    assert (data.classes, data.white, data.test_inputs.shape) == (5, 1.0, (20, 1, 8, 8))
    assert float(data.test_inputs.max()) == opened.naturals.max() / 255
    with np.load(tmp_path / "train.npz") as arrays:
        known = {image.tobytes(): label for image, label in zip(*arrays.values(), strict=True)}
    codes = [code.tobytes() for code in (data.train_inputs * 255).round().to(torch.uint8).numpy()]
    assert [known[code] for code in codes] == data.train_labels.tolist()
    assert len(set(codes)) == len(codes) == 24
    assert not takes_gpu(tmp_path / "plan.toml")
    monkeypatch.setattr(inputs, "is_on_gpu", lambda network: network is opened.model.network)
    assert takes_gpu(tmp_path / "plan.toml")


def test_digests_tell_weights_and_data_apart(tmp_path):
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    first = open_network(files(folders[0]))
    other = open_network(files(folders[1], ("images = 24", "images = 23")))
    same = first.digests.model_copy(update={"train": other.digests.train})
    assert other.digests == same != first.digests
    planned.write_plan(folders[2], seed=1)
    path = folders[2] / "plan.toml"
    third = open_network(list_networks(read_plan(path), folders[2])["small"])
    assert third.digests.weights != first.digests.weights


@pytest.mark.parametrize(
    "labels",
    [
        np.arange(19) % 5,
        np.zeros(20),
        np.arange(20),
        np.arange(20) - 1,
        np.array(["a"] * 20),
        np.array([{}] * 20),
        None,
    ],
)
def test_labels_that_are_no_classes_are_refused(tmp_path, labels):
    place = files(tmp_path)
    images = np.zeros((20, 1, 8, 8), np.uint8)
    named = {} if labels is None else {"labels": labels}
    np.savez(tmp_path / "test.npz", images=images, **named)
    with refuses(BadFileError, field="labels", file=tmp_path / "test.npz"):
        open_network(place)


def test_a_float_method_sees_the_same_inputs_without_levels(tmp_path):
    opened = open_network(files(tmp_path))
    model, codes = view(opened, "natural")
    assert model is opened.model
    assert codes is opened.naturals
    model, values = view(opened, "natural:float")
    assert (model.domain.levels, values.dtype) == (0, np.float32)
    assert np.array_equal(values, opened.model.domain.decode(opened.naturals))


def test_variants_are_those_of_sealing_all_or_the_named_ones(tmp_path):
    model = open_network(files(tmp_path)).model
    sealing = {variant.name for variant in sealing_variants(model, None)}
    every = [variant.name for variant in every_variant(model, None)]
    assert sealing < set(every)
    assert len(set(every)) == len(every)
    named = ("sent-as-json", "nnpack")
    for choose in (sealing_variants, every_variant):
        assert tuple(variant.name for variant in choose(model, named)) == named
        with pytest.raises(InvalidArgumentError, match="got 'moon'"):
            choose(model, ("nnpack", "moon"))


def test_a_seed_depends_on_every_part_and_on_nothing_else():
    assert derive_seed("samples", 0, "small") == derive_seed("samples", 0, "small")
    seeds = {derive_seed("samples", number, name) for number in range(9) for name in "ab"}
    assert len(seeds) == 18
    assert all(0 <= seed < 2**62 for seed in seeds)


def test_the_digest_of_a_structure_is_that_of_its_modules_wherever_they_are_in_memory():
    class Shown(nn.Linear):
        def __init__(self, address, width):
            super().__init__(width, 2)
            self.address = address

        def extra_repr(self):
            return f"<function once at {self.address:#x}> {self.in_features}"

    assert digest_structure(Shown(1, 3)) == digest_structure(Shown(2, 3))
    assert digest_structure(Shown(1, 3)) != digest_structure(Shown(1, 4))
