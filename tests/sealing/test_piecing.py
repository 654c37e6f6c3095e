from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pieces import build_task

from modelseal.calibration.precision import parse_precisions
from modelseal.calibration.variants import Float64, Nnpack
from modelseal.domain import Domain
from modelseal.outputs.specs import parse_spec
from modelseal.sealing import checkpoints
from modelseal.sealing.checkpoints import cut_evenly, piece_size
from modelseal.sealing.recipe import Method, Recipe


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((2,), 32),
        ((3, 32, 32), 32),
        ((3, 128, 128), 21),
        ((3, 224, 224), 6),
        ((3, 384, 384), 2),
        ((3, 4000, 4000), 2),
    ],
)
def test_a_piece_is_smaller_where_inputs_are_large(shape, size):
    assert piece_size(Domain(shape=shape)) == size


@given(count=st.integers(1, 100), largest=st.integers(2, 40))
def test_the_pieces_follow_one_another_and_none_is_too_large(count, largest):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "LARGEST", largest)
        spans = list(cut_evenly(count, Domain(shape=(2,))))
    assert [number for first, last in spans for number in range(first, last)] == list(range(count))
    assert all(last - first == largest for first, last in spans[:-1])


def test_a_piece_is_found_again_whatever_its_place_and_where_it_is_made():
    key = build_task().key
    assert len(key) == 64
    assert set(key) <= set("0123456789abcdef")
    others = [
        build_task(number=7),
        build_task(rows=np.array([8, 9])),
        build_task(source=Path("model.toml")),
    ]
    assert {each.key for each in others} == {key}


@pytest.mark.parametrize(
    "changes",
    [
        {"naturals": np.array([[1, 2], [3, 5]], np.uint8)},
        {"naturals": np.array([[1, 2]], np.uint8)},
        {"weights": "sha256:" + "1" * 64},
        {"domain": Domain(shape=(2,), bounds=(0.0, 2.0))},
        {"device": "cuda:0"},
        {"threads": 2},
        {"recipe": Recipe(seed=1)},
        {"recipe": Recipe(method=Method.NATURAL)},
        {"recipe": Recipe(spec=parse_spec("topk:2"))},
        {"recipe": Recipe(tied=4)},
        {"recipe": Recipe(margin=0.1)},
        {"recipe": Recipe(factor=4.0)},
        {"recipe": Recipe(variants=(Nnpack(),))},
        {"recipe": Recipe(variants=(Nnpack(), Float64()))},
        {"recipe": Recipe(allowed=parse_precisions("fp16"))},
    ],
    ids=str,
)
def test_whatever_its_samples_depend_on_makes_another_piece(changes):
    assert build_task(**changes).key != build_task().key


def test_other_versions_make_another_piece(monkeypatch):
    before = build_task().key
    monkeypatch.setattr(checkpoints, "version", lambda name: "0.0.0")
    assert build_task().key != before


def test_a_task_is_named_for_people():
    assert str(replace(build_task(), number=4)) == "piece 4 of the candidates"
