import numpy as np
import pytest

from modelseal.fingerprint.file_format import load


@pytest.fixture
def candidates(model, folder, run, few_variants):
    """Writes a model and its candidates."""
    run("generate", model(), "images.npz", "-o", "c.safetensors", "--method", "natural")
    return load(folder / "c.safetensors")


def chosen(folder, run, *options):
    result = run("select", "model.toml", "c.safetensors", "-o", "out.seal", *options)
    assert result.exit_code == 0, result.stderr
    return load(folder / "out.seal")


def test_a_few_of_the_candidates_are_written(candidates, folder, run):
    result = run("select", "model.toml", "c.safetensors", "-o", "out.seal", "--samples", 3)
    assert (result.exit_code, result.stderr) == (0, "")
    made = load(folder / "out.seal")
    assert len(made) == 3
    assert set(made.sources) <= set(candidates.sources)
    assert result.stdout.splitlines()[:2] == [
        "out.seal: 3 samples",
        f"chosen of {len(candidates)} candidates by the rule detection",
    ]


def test_the_rule_margin_takes_the_smallest_margins(candidates, folder, run):
    made = chosen(folder, run, "--samples", 4, "--rule", "margin")
    assert np.array_equal(np.sort(made.margins), np.sort(candidates.margins)[:4])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--layers", "relu_7"], "relu_0"),
        (["--samples", "99"], "99"),
        (["-o", "c.safetensors"], "c.safetensors: "),
        (["-o", "weights0.safetensors"], "weights0.safetensors: "),
        (["-o", "no/x"], "no/x: "),
    ],
)
def test_wrong_use_is_one_sentence_with_exit_code_2_and_no_file(
    candidates, folder, run, options, named
):
    before = (folder / "c.safetensors").read_bytes()
    result = run("select", "model.toml", "c.safetensors", "-o", "out.seal", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert named in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (folder / "out.seal").exists()
    assert (folder / "c.safetensors").read_bytes() == before


def test_candidates_of_another_network_are_refused(candidates, model, folder, run):
    model(seed=1)
    result = run("select", "model.toml", "c.safetensors", "-o", "out.seal", "--samples", 2)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("modelseal: candidates: ")


def test_what_is_chosen_of_encrypted_candidates_is_encrypted_too(candidates, folder, run):
    run("keygen", "-o", "k")
    run("encrypt", "c.safetensors", "-o", "e.safetensors", "--encrypt-to", "k.pub.pem")
    arguments = ("model.toml", "e.safetensors", "-o", "out.seal", "--key", "k.pem")
    plain = run("select", *arguments, "--rule", "margin")
    assert (plain.exit_code, plain.stdout) == (2, "")
    assert plain.stderr.startswith("modelseal: e.safetensors: ")
    assert not (folder / "out.seal").exists()
    result = run("select", *arguments, "--rule", "margin", "--encrypt-to", "k.pub.pem")
    assert result.exit_code == 0, result.stderr
    assert (folder / "out.seal").read_bytes().startswith(b"modelseal-encrypted 1.0\n")
    assert "samples: 8" in run("inspect", "out.seal", "--key", "k.pem").stdout


def test_generate_writes_all_candidates_that_were_accepted(candidates, model, folder, run):
    assert len(candidates) == candidates.origin.parameters["accepted"] > 0
    options = ("--candidates", 4, "--tie", 3, "--factor", 20, "--seed", 5, "--allow", "tf32")
    made = {}
    for output, more in (("one", ()), ("two", ("--workers", 2))):
        result = run("generate", model(), "images.npz", "-o", output, *options, *more)
        assert result.exit_code == 0, result.stderr
        made[output] = load(folder / output)
    origin, parameters = made["one"].origin, made["one"].origin.parameters
    assert result.stdout.splitlines()[1].endswith(" of 4 candidates passed calibration")
    assert (made["one"].factor, origin.method, origin.seed) == (20, "boundary", 5)
    assert (parameters["candidates"], parameters["tied"], parameters["allowed"]) == (4, 3, "tf32")
    assert origin.variants[-1] == "tf32"
    assert np.array_equal(made["one"].samples, made["two"].samples)
    assert parameters == made["two"].origin.parameters
