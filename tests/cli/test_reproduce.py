import json

import numpy as np
import published
import pytest
import torch

QUICK = (
    *("--images", "4", "--iterations", "2", "--samples", "2", "--bag", "3"),
    *("--trials", "10", "--tie", "3"),
)


@pytest.fixture
def place(folder):
    """The published files, small, in the folder where the program runs."""
    published.write_files(folder, faces=6)
    return folder


@pytest.fixture
def reproduce(run):
    def begin(*options, output="out"):
        return run(
            *("reproduce", "vgg-face", "--models", "models", "--data", "data"),
            *("-o", output, *options),
        )

    return begin


@pytest.mark.usefixtures("few_variants")
def test_the_whole_experiment_is_run_and_told(place, reproduce):
    result = reproduce(
        *QUICK, "--total-variation", "0.01", "--epsilon", "4", "--seed", "2", "--no-early-stop"
    )
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("sanity check: clean network right 1.000, trojaned 1.000")
    assert lines[-1] == "out/reproduction.md"
    told = json.loads((place / "out" / "reproduction.json").read_text())
    assert told["settings"]["legacy"] == {
        "iterations": 2, "learning_rate": 1.0, "radius": 4.0, "variation": 0.01,
        "threshold": None, "classes": 40,
    }  # fmt: skip
    assert told["settings"]["boundary"]["tied"] == 3
    assert (told["settings"]["seed"], told["settings"]["images"]) == (2, 4)
    assert (told["device"], told["channel_order"]) == ("cpu", "rgb")
    for method, own in told["methods"].items():
        assert f"{method}: {own['samples']} candidates, " in result.stdout
        folder = place / "out" / "samples" / method.replace(":", "-")
        assert len(list(folder.glob("*.npy"))) == own["samples"]
    for number, each in enumerate(told["methods"]["legacy:float"]["each"]):
        name = told["images"][each["image"]].removesuffix(".png")
        sample = np.load(place / f"out/samples/legacy-float/{number:04}-{name}.npy")
        assert sample.shape == (3, 32, 32)
    assert (place / "out" / "figures" / "success.png").is_file()


def test_an_order_that_the_networks_were_not_trained_for_shows_in_the_sanity_check(
    place, reproduce, few_variants
):
    result = reproduce(*QUICK, "--channel-order", "bgr", "--threshold", "1e9")
    assert result.exit_code == 0, result.stderr
    told = json.loads((place / "out" / "reproduction.json").read_text())
    assert told["channel_order"] == "bgr"
    assert told["sanity"]["clean_accuracy"] < 0.9
    assert told["settings"]["legacy"]["threshold"] == 1e9
    assert "legacy: 0 candidates, success rate none" in result.stdout


def spoil_names(place):
    names = place / "data" / "names.txt"
    names.write_text(names.read_text() + "Somebody_Else\n")


def spoil_shapes(place):
    state = dict(published.networks()[0])
    state["conv2_1.weight"] = torch.zeros(8, 5, 3, 3)
    torch.save(state, place / "models" / "VGG-face-clean.pt")


def spoil_code(place):
    torch.save(torch.nn.Linear(1, 1), place / "models" / "VGG-face-clean.pt")


def rename(place):
    next((place / "data" / "VGGFace-Clean").iterdir()).rename(
        place / "data" / "VGGFace-Clean" / "Ada_Lovelace.png"
    )


def fill_output(place):
    (place / "out").mkdir()
    (place / "out" / "mine.txt").write_text("mine")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda place: (place / "models/VGG-face-trojaned.pt").unlink(), "VGG-face-trojaned.pt"),
        (lambda place: (place / "data/names.txt").unlink(), "names.txt: cannot be read: No such"),
        (spoil_names, "names.txt: expected 4 names"),
        (spoil_shapes, "VGG-face-clean.pt: "),
        (spoil_code, "VGG-face-clean.pt: "),
        (rename, "Ada_Lovelace.png: "),
        (fill_output, "out: expected a new or empty folder"),
    ],
)
def test_files_that_cannot_be_used_are_one_sentence(place, reproduce, spoil, sentence):
    spoil(place)
    before = sorted(place.rglob("*"))
    result = reproduce(*QUICK)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--device", "gpu"), "gpu"),
        (("--images", "7"), "7"),
        (("--learning-rate", "0"), "learning_rate"),
        (("--epsilon", "-1"), "radius"),
        (("--total-variation", "-1"), "variation"),
        (("--threshold", "-1"), "threshold"),
        (("--samples", "9"), "samples"),
    ],
)
def test_options_that_cannot_be_used_are_one_sentence(place, reproduce, options, named):
    result = reproduce(*QUICK, *options)
    assert result.exit_code == 2
    assert named in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (place / "out").exists()
