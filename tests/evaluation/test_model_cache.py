import json
from dataclasses import dataclass

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from modelseal.errors import NotAppliedError
from modelseal.evaluation.trials import ModelCache
from modelseal.runtime.inference import copy_network

MADE = []


@dataclass(frozen=True)
class Shifted:
    by: float

    def __call__(self, network):
        MADE.append(self.by)
        changed = copy_network(network)
        changed[0].weight.data += self.by
        return changed


@dataclass(frozen=True)
class Refused:
    def __call__(self, network):
        MADE.append("refused")
        raise NotAppliedError("it did not take")


@pytest.fixture(autouse=True)
def forget():
    MADE.clear()


@pytest.fixture
def cache(tmp_path):
    return ModelCache(folder=tmp_path / "tampered", worth=0.0)


def test_a_copy_is_made_once_and_comes_back_to_the_bit(tiny, cache):
    first = cache.make(Shifted(0.1), tiny, known="a")
    second = cache.make(Shifted(0.1), tiny, known="a")
    assert MADE == [0.1]
    assert all(map(torch.equal, first.state_dict().values(), second.state_dict().values()))
    assert not torch.equal(second[0].weight, tiny[0].weight)
    assert not second.training
    assert not any(each.requires_grad for each in second.parameters())


def test_other_recipes_weights_or_data_are_other_copies(tiny, cache):
    for recipe, known in ((Shifted(0.1), "a"), (Shifted(0.2), "a"), (Shifted(0.1), "b")):
        cache.make(recipe, tiny, known=known)
    assert MADE == [0.1, 0.2, 0.1]
    assert len(list(cache.folder.iterdir())) == 3


def test_what_is_made_sooner_than_read_is_not_kept(tiny, tmp_path):
    times = iter([0.0, 0.4, 1.0, 1.6])
    cache = ModelCache(folder=tmp_path, worth=0.5, clock=lambda: next(times))
    cache.make(Shifted(0.1), tiny, known="a")
    assert not list(tmp_path.iterdir())
    cache.make(Shifted(0.1), tiny, known="a")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_copy_of_another_structure_is_made_again(tiny, cache):
    for _ in range(2):
        assert isinstance(cache.make(nn.Sequential, tiny, known="a")[0], nn.Sequential)
    assert not list(cache.folder.iterdir())


def test_a_refusal_is_kept_as_well_and_a_damaged_file_is_made_anew(tiny, cache):
    def make_both():
        with pytest.raises(NotAppliedError, match="it did not take"):
            cache.make(Refused(), tiny, known="a")
        return cache.make(Shifted(0.1), tiny, known="a")

    first, _ = make_both(), make_both()
    assert MADE == ["refused", 0.1]
    (file,) = cache.folder.glob("*.json")
    assert json.loads(file.read_text()) == {"recipe": "Refused()", "reason": "it did not take"}
    for file in cache.folder.iterdir():
        file.write_bytes(b"{}")
    make_both()
    assert MADE == ["refused", 0.1] * 2
    (file,) = cache.folder.glob("*.safetensors")
    save_file({"other": torch.zeros(2)}, file)
    again = make_both()
    assert MADE == ["refused", 0.1, "refused", 0.1, 0.1]
    assert all(map(torch.equal, first.parameters(), again.parameters()))
