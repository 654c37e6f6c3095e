import re

import numpy as np
import pytest

from modelseal.fingerprint.codec import load

pytestmark = pytest.mark.usefixtures("few_variants")


def test_all_accepted_candidates_are_written(model, folder, run):
    result = run("generate", model(), "images.npz", "-o", "c.safetensors", "--method", "natural")
    assert result.exit_code == 0, result.stderr
    found = load(folder / "c.safetensors")
    accepted = found.origin.parameters["accepted"]
    assert len(found) == accepted > 0
    assert result.stdout.splitlines()[:2] == [
        f"c.safetensors: {accepted} samples",
        f"{accepted} of 12 candidates passed calibration",
    ]


def test_the_options_reach_the_candidates(model, folder, run):
    options = ("--candidates", 4, "--tie", 3, "--factor", 20, "--seed", 5, "--allow", "tf32")
    result = run("generate", model(), "images.npz", "-o", "c.safetensors", *options)
    assert result.exit_code == 0, result.stderr
    found = load(folder / "c.safetensors")
    origin = found.origin
    assert found.factor == 20
    assert (origin.method, origin.seed) == ("boundary", 5)
    assert (origin.parameters["candidates"], origin.parameters["tied"]) == (4, 3)
    assert (origin.parameters["allowed"], origin.variants[-1]) == ("tf32", "tf32")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["missing.toml", "images.npz", "-o", "c"], "missing.toml: cannot be read"),
        (["model.toml", "no", "-o", "c"], "no: a folder of images or an .npz file was wanted"),
        (["model.toml", "images.npz", "-o", "no/c"], "there is no folder no"),
        (["model.toml", "images.npz", "-o", "images.npz"], "this one is read as well"),
        (["model.toml", "images.npz", "-o", "weights0.safetensors"], "this one is read as well"),
        (["model.toml", "images.npz", "-o", "c", "--spec", "x"], "expected top1"),
        (
            ["model.toml", "images.npz", "-o", "c", "--allow", "fp16,fp8"],
            "allowed precisions need to be of tf32, bf16, fp16, int8, with commas between, "
            "but came as 'fp16,fp8'",
        ),
    ],
)
def test_wrong_use_is_one_sentence_with_exit_code_2_and_no_file(
    model, folder, run, arguments, problem
):
    model()
    before = {file: file.read_bytes() for file in folder.iterdir()}
    result = run("generate", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1
    assert {file: file.read_bytes() for file in folder.iterdir() if file.is_file()} == before


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--time-limit", "0"], "--time-limit needs minutes above 0, but is 0"),
        (["--time-limit", "nan"], "--time-limit needs minutes above 0, but is nan"),
        (["--workers", "2", "--ray", "auto"], "either --workers or --ray is needed, but both"),
        (["--ray", "nowhere"], "got 'nowhere'"),
    ],
)
def test_wrong_ways_of_making_are_one_sentence_before_any_work(
    model, folder, run, options, problem
):
    model()
    before = set(folder.iterdir())
    result = run("generate", "model.toml", "images.npz", "-o", "c", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1
    assert {file for file in folder.iterdir() if file.name != "__pycache__"} == before


def test_what_it_cost_is_in_the_file_and_told_when_wanted(model, folder, run):
    order = ("generate", model(), "images.npz", "-o", "c", "--tie", 3)
    assert run(*order).stderr == ""
    result = run(*order, "--verbose")
    found = load(folder / "c").origin.parameters
    assert found["work"] > 10
    stages = result.stderr.splitlines()
    total = found["work"] * found["accepted"]
    assert re.fullmatch(rf"generate: \d+\.\d s, {total:.0f} forward-equivalents", stages[0])
    assert re.fullmatch(r"calibrate: \d+\.\d s, [1-9]\d* forward-equivalents", stages[1])
    assert stages[2:] == [
        f"{found['work']:g} forward-equivalents for each of {found['accepted']} accepted candidates"
    ]


def test_processes_make_the_same_samples_as_this_one(model, folder, run):
    order = ("generate", model(), "images.npz", "--tie", 3)
    for output, options in (("one", ()), ("two", ("--workers", 2))):
        assert run(*order, "-o", output, *options).exit_code == 0
    one, two = load(folder / "one"), load(folder / "two")
    assert np.array_equal(one.samples, two.samples)
    assert one.origin.parameters == two.origin.parameters
