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
