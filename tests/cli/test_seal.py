import re
import signal
import time

import numpy as np
import pytest

from modelseal.fingerprint.file_format import load
from modelseal.fingerprint.fingerprint import format_power

pytestmark = pytest.mark.usefixtures("few_variants")


PROGRAM = "from modelseal.cli.app import main; main()"
QUICK = ("--candidates", 6, "--samples", 2, "--tie", 3)


def test_a_sealed_model_is_intact_and_other_weights_are_tampering(model, folder, run):
    sealed = run("seal", model(), "images.npz", "-o", "out.seal", *QUICK)
    assert sealed.exit_code == 0, sealed.stderr
    intact = run("verify", "out.seal", "model.toml")
    assert (intact.exit_code, intact.stdout[:7]) == (0, "INTACT:")
    model(seed=1)
    tampered = run("verify", "out.seal", "model.toml")
    assert (tampered.exit_code, tampered.stdout[:9]) == (1, "TAMPERED:")


def test_what_was_made_is_told_as_it_is_in_the_file(model, folder, run):
    told = run("seal", model(), "images.npz", "-o", "out.seal", *QUICK).stdout
    made = load(folder / "out.seal")
    accepted = made.origin.parameters["accepted"]
    assert told.splitlines() == [
        "out.seal: 2 samples",
        f"{accepted} of 6 candidates passed calibration",
        f"margin {made.margins.min():.3g} or more, largest harmless move {made.moves.max():.3g}, "
        f"median PSNR {np.median(made.psnr):.1f} dB",
        f"notices, as tried: {format_power(made.power)}",
    ]


@pytest.mark.parametrize(
    ("options", "draws"),
    [([], {1, 20}), (["--power", "full"], {1, 60}), (["--power", "none"], set())],
)
def test_the_power_is_measured_as_thoroughly_as_wanted(model, folder, run, options, draws):
    assert run("seal", model(), "images.npz", "-o", "out.seal", *QUICK, *options).exit_code == 0
    made = load(folder / "out.seal")
    assert {limit.draws for limit in made.power} == draws


def test_the_options_reach_the_fingerprint(model, folder, run):
    options = ("--method", "natural", "--spec", "topk:2", "--margin", 0.001, "--seed", 5)
    options += ("--factor", 20, "--power", "none")
    result = run("seal", model(), "images.npz", "--output", "out.seal", *QUICK, *options)
    assert result.exit_code == 0, result.stderr
    made = load(folder / "out.seal")
    assert (str(made.spec), made.origin.method, made.origin.seed) == ("topk:2", "natural", 5)
    assert made.origin.parameters["margin"] == 0.001
    assert made.factor == made.origin.parameters["factor"] == 20
    assert made.origin.parameters["tied"] == 3


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--samples", "9", "--candidates", "8"], "candidates: "),
        (["--samples", "13"], "images.npz: "),
        (["--allow", "fp8"], "fp8"),
        (["--spec", "top5"], "top5"),
        (["--method", "magic"], "magic"),
        (["--margin", "0"], "margin: "),
        (["--margin", "nan"], "margin: "),
        (["--factor", "inf"], "factor: "),
        (["--margin", "1e9", "--candidates", "2", "--samples", "1"], "1e+09"),
        (["--time-limit", "0"], "time_limit: "),
        (["--workers", "2", "--ray", "auto"], "workers: "),
        (["--ray", "nowhere"], "nowhere"),
        (["-o", "no/out.seal"], "no/out.seal: "),
        (["-o", "model.toml"], "model.toml: "),
        (["-o", "weights0.safetensors"], "weights0.safetensors: "),
        (["-o", "network_of_cli_tests.py"], "network_of_cli_tests.py: "),
        (["--encrypt-to", "no.pem"], "no.pem: "),
        (["--passphrase-file", "no"], "no: "),
        (["--per-check", "9"], "9"),
        (["--samples", "0"], "--samples"),
        (["--candidates", "0"], "--candidates"),
        (["--tie", "1"], "--tie"),
        (["--seed", "-1"], "--seed"),
        (["--seed", str(2**63)], "--seed"),
        (["--margin", "x"], "--margin"),
        (["--factor", "0.5"], "--factor"),
        (["--power", "some"], "--power"),
        (["--rule", "some"], "--rule"),
    ],
)
def test_wrong_use_is_one_sentence_with_exit_code_2_and_no_file(model, folder, run, options, named):
    path = model()
    before = {file: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    result = run("seal", path, "images.npz", "-o", "out.seal", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("modelseal: ")
    assert named in result.stderr
    assert result.stderr.count("\n") == 1
    assert {file: file.read_bytes() for file in folder.iterdir() if file.is_file()} == before


def test_an_image_of_the_folder_is_never_replaced(model, folder, run):
    (folder / "images").mkdir()
    (folder / "images" / "a.png").write_bytes(b"precious")
    for output in ("images/a.png", "images"):
        result = run("seal", model(), "images", "-o", output, *QUICK)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"modelseal: {output}: ")
    assert (folder / "images" / "a.png").read_bytes() == b"precious"


@pytest.mark.parametrize(
    "arguments",
    [
        ["seal", "model.toml", "images.npz", "-o", "x"],
        ["generate", "model.toml", "images.npz", "-o", "x"],
        ["select", "model.toml", "out.seal", "-o", "x"],
        ["verify", "out.seal", "model.toml"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_without_torch_one_sentence_names_the_extra(model, seal_file, start, arguments):
    model()
    seal_file()
    process = start(*arguments, program=f"import sys; sys.modules['torch'] = None; {PROGRAM}")
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (2, "")
    assert err.endswith('needs an extra: pip install "modelseal[seal]"\n')
    assert err.count("\n") == 1


def test_an_interruption_is_one_line_with_exit_code_130_and_leaves_no_file(model, folder, start):
    model(factory="slow")
    process = start("seal", "model.toml", "images.npz", "-o", "out.seal", *QUICK)
    deadline = time.monotonic() + 300
    while not (folder / "asleep").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    before = set(folder.iterdir())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out, err) == (130, "", "modelseal: interrupted\n")
    assert set(folder.iterdir()) == before
    assert not (folder / "out.seal").exists()


def test_a_model_is_sealed_and_verified_by_two_processes_with_one_line_of_progress_a_second(
    model, folder, start
):
    model()
    # A machine without ONNX Runtime and without a compiler, so that it does not take so long.
    program = f"import sys; sys.modules['onnxruntime'] = None; {PROGRAM}"
    for arguments, told in (
        (("seal", "model.toml", "images.npz", "-o", "out.seal", *QUICK), "out.seal: 2 samples"),
        (("verify", "out.seal", "model.toml"), "INTACT: 2 of 2 samples"),
    ):
        process = start(*arguments, program=program, env={"TORCHDYNAMO_DISABLE": "1"})
        out, err = process.communicate(timeout=300)
        assert (process.returncode, out[: len(told)]) == (0, told)
        assert all(re.fullmatch(r"\w+: \d+ of \d+( [a-z ]+)?", line) for line in err.splitlines())


def test_what_each_stage_cost_is_told_when_wanted(model, folder, run):
    order = ("seal", model(), "images.npz", "-o", "out.seal", *QUICK, "--verbose")
    told = run(*order).stderr.splitlines()
    stages = [re.match(r"(\w+): \d+\.\d s, \d+ forward-equivalents$", line) for line in told[:-1]]
    assert [stage[1] for stage in stages] == ["generate", "calibrate", "select", "power"]
    assert told[-1].endswith("accepted candidates")
    assert not (folder / "out.seal.part").exists()


def test_an_encrypted_fingerprint_is_all_that_touches_the_disk(model, folder, run, monkeypatch):
    from modelseal import files

    written = []
    replace = files.replace

    def watch(target, data):
        written.append((target.name, data[:24]))
        replace(target, data)

    run("keygen", "-o", "k")
    model()
    monkeypatch.setattr(files, "replace", watch)
    options = ("--power", "none", "--encrypt-to", "k.pub.pem", "--per-check", 1)
    result = run("seal", "model.toml", "images.npz", "-o", "out.seal", *QUICK, *options)
    assert result.exit_code == 0, result.stderr
    assert written == [("out.seal", b"modelseal-encrypted 1.0\n")]
    result = run("verify", "out.seal", "model.toml", "--key", "k.pem")
    assert result.exit_code == 0, result.stderr
