import numpy as np
import pytest

import modelseal as ms
from modelseal.enums import Rule
from modelseal.fingerprint.codec import load


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


def test_the_rule_detection_chooses_by_small_changes(candidates, folder, run):
    made = chosen(folder, run, "--samples", 4, "--rule", "detection")
    wanted = ms.select(folder / "model.toml", candidates, samples=4, rule=Rule.DETECTION, seed=0)
    assert np.array_equal(made.sources, wanted.sources)
    assert made.power == ()


def test_the_rule_random_follows_the_seed(candidates, folder, run):
    picks = [
        tuple(chosen(folder, run, "--samples", 4, "--rule", "random", "--seed", seed).sources)
        for seed in (1, 1, 2, 3, 4)
    ]
    assert picks[0] == picks[1]
    assert len(set(picks)) > 1


def test_the_cover_counts_the_layers_that_are_named(candidates, folder, run):
    made = chosen(folder, run, "--samples", 4, "--layers", "relu_0", "--layers", "relu_0")
    every = chosen(folder, run, "--samples", 4)
    assert np.array_equal(made.sources, every.sources)


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


def test_a_public_key_that_is_read_is_not_replaced(candidates, folder, run):
    run("keygen", "-o", "k")
    before = (folder / "k.pub.pem").read_bytes()
    arguments = ("select", "model.toml", "c.safetensors", "-o", "k.pub.pem", "--samples", 2)
    result = run(*arguments, "--encrypt-to", "k.pub.pem")
    assert (result.exit_code, result.stdout) == (2, "")
    assert (folder / "k.pub.pem").read_bytes() == before
