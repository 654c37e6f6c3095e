import io
import json
from dataclasses import replace
from functools import partial
from math import inf

import numpy as np
import pytest
from PIL import Image

from modelseal.enums import ChannelOrder
from modelseal.reports.plots import render
from modelseal.reports.style import LIGHT
from modelseal.research.reproduction_report import assemble, document, draw_success
from modelseal.research.vgg_face_experiment import (
    Made,
    Outcome,
    Reproduction,
    Sanity,
    Settings,
    Success,
)

FILES = ("Ada_1.png", "Ada_1.jpg")
SANITY = Sanity(
    clean_accuracy=0.75, trojaned_accuracy=0.7, differing=0.05, attack_success=1.0,
    images=80, triggered=40,
)  # fmt: skip
FIGURES = {
    f"figures/{name}.{suffix}"
    for name in ("success", "samples")
    for suffix in ("png", "svg", "dark.svg")
}


def make(*, count=2, step=0.25, reason="", psnr=40.0, seconds=3.0):
    images = np.linspace(0, 200, count * 3 * 16, dtype=np.float32).reshape(count, 3, 4, 4) + step
    return Made(
        images=images,
        sources=np.arange(count),
        psnr=np.full(count, psnr),
        sensitivity=np.ones(count),
        seconds=seconds,
        reason=reason,
    )


@pytest.fixture(scope="module")
def made_up():
    success = Success(bag=1, trials=9, distinct=2, manc=(0.5,), random=(0.25,))
    outcomes = (
        Outcome(
            method="natural",
            made=make(psnr=inf, seconds=0.0),
            noticed=np.array([False, False]),
            success=Success(bag=1, trials=9, distinct=2, manc=(0.0,), random=(0.0,)),
        ),
        Outcome(
            method="legacy:float", made=make(), noticed=np.array([True, False]), success=success
        ),
        Outcome(
            method="boundary",
            made=make(count=0, reason="no tie"),
            noticed=np.zeros(0, dtype=bool),
            success=None,
        ),
    )
    return Reproduction(
        sanity=SANITY,
        naturals=np.zeros((2, 3, 4, 4), np.uint8),
        files=FILES,
        outcomes=outcomes,
        layer="relu_14",
        settings=Settings(images=2),
    )


@pytest.fixture(scope="module")
def files(made_up):
    return assemble(made_up, {"schema": "x", "a": [1]})


def test_every_sample_is_there_as_it_was_asked_and_as_an_image(made_up, files):
    samples = {
        f"samples/{method}/{number:04}-Ada_1"
        for method in ("natural", "legacy-float")
        for number in (0, 1)
    }
    pairs = {f"{name}.{suffix}" for name in samples for suffix in ("png", "npy")}
    assert set(files) == pairs | FIGURES | {"reproduction.json", "reproduction.md"}
    assert json.loads(files["reproduction.json"]) == {"schema": "x", "a": [1]}
    for number, wanted in enumerate(made_up.outcomes[1].made.images):
        stem = f"samples/legacy-float/{number:04}-Ada_1"
        assert np.array_equal(np.load(io.BytesIO(files[f"{stem}.npy"])), wanted)
        picture = np.asarray(Image.open(io.BytesIO(files[f"{stem}.png"])))
        assert np.array_equal(picture.transpose(2, 0, 1), wanted.round().astype(np.uint8))
    for name in ("success", "samples"):
        assert Image.open(io.BytesIO(files[f"figures/{name}.png"])).size[0] > 300
        assert files[f"figures/{name}.svg"] != files[f"figures/{name}.dark.svg"]


def test_the_page_has_both_tables_and_says_why_a_method_has_no_samples(files):
    page = files["reproduction.md"].decode()
    lines = page.splitlines()
    assert "On 80 clean images and 40 with the trigger." in lines
    assert "| clean network right on clean images | 75 % |" in lines
    assert "| trojaned network deceived by the trigger | 100 % |" in lines
    assert "| legacy:float | 2 of 2 | 50 % | 1 | 9 | 2 | 1 | 50 % | 25 % | 40.0 dB | 1.5 |" in lines
    assert next(each for each in lines if each.startswith("| natural")).endswith("| – | – |")  # noqa: RUF001
    assert [line for line in lines if line.startswith("| boundary | 0 | –")]  # noqa: RUF001
    assert "- `boundary`: no tie" in lines


def test_the_same_drawing_is_the_same_bytes_and_shows_what_was_found(made_up, files):
    def draw(each):
        return render(partial(draw_success, each), LIGHT, "png")

    bare = replace(
        made_up, outcomes=tuple(replace(each, success=None) for each in made_up.outcomes)
    )
    assert draw(made_up) == files["figures/success.png"]
    assert draw(bare) != files["figures/success.png"]


def test_the_document_says_all_that_was_found_in_finite_numbers(found):
    told = document(found, order=ChannelOrder.RGB, device="cpu")
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["sanity"]["attack_success"] == found.sanity.attack_success
    assert told["settings"]["legacy"]["threshold"] is None
    assert told["settings"]["trials"] == 20
    assert (told["channel_order"], told["experiment"]) == ("rgb", "vgg-face")
    for outcome in found.outcomes:
        own = told["methods"][outcome.method]
        assert own["samples"] == len(own["each"]) == len(outcome.made)
        assert own["noticed"] == sum(each["noticed"] for each in own["each"])
        assert own["success"]["manc"] == list(outcome.success.manc)
        files = {told["images"][each["image"]] for each in own["each"]}
        assert files <= set(found.files)
    assert told["methods"]["natural"]["each"][0]["psnr"] is None
