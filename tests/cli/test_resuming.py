"""Real processes of `generate` and `seal` that are stopped and begun again."""

import re
import signal
import time
from dataclasses import replace

import pytest

from modelseal.fingerprint.file_format import encode, load

# Pieces of three, few variants, a line for each piece that is made, and none after so many if told.
PROGRAM = """
import os
import time
from pathlib import Path
from modelseal.calibration.variants import Float64, Nnpack
from modelseal.sealing import candidates, checkpoints

checkpoints.LARGEST = 3
candidates.list_variants = lambda model: (Nnpack(), Float64())
inner = candidates._make_piece

def make_piece(*all):
    with open("begun", "a") as file:
        file.write("piece\\n")
    if len(list(Path().glob("out.part/*.piece"))) == int(os.environ.get("HELD_AFTER", -1)):
        time.sleep(300)
    return inner(*all)

candidates._make_piece = make_piece
from modelseal.cli.app import main
main()
"""
PIECES = 4
ORDERS = {
    "generate": ("generate", "model.toml", "images.npz", "--tie", 3, "-o"),
    "seal": ("seal", "model.toml", "images.npz", "--power", "none", "--samples", 2, "-o"),
}


@pytest.fixture
def files(model, folder):
    """A network and twelve images: four pieces."""
    model()
    return folder


def begun(folder):
    """How many pieces were begun by now, in all runs."""
    return (folder / "begun").read_text().count("piece") if (folder / "begun").exists() else 0


def await_pieces(folder, process, count):
    """Waits until so many pieces are kept."""
    deadline = time.monotonic() + 300
    while len(list(folder.glob("out.part/*.piece"))) < count and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.005)


def timeless(path):
    """The bytes of a file, but for the time of making."""
    found = load(path)
    return encode(replace(found, origin=replace(found.origin, created="2026-01-01T00:00:00Z")))


@pytest.mark.parametrize("verb", ["generate", "seal"])
def test_a_killed_run_goes_on_without_loss_to_the_same_bytes(files, start, verb):
    process = start(*ORDERS[verb], "out", program=PROGRAM, env={"HELD_AFTER": "2"})
    await_pieces(files, process, 2)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL
    assert not (files / "out").exists()
    kept = len(list(files.glob("out.part/*.piece")))
    assert kept == 2
    before = begun(files)

    again = start(*ORDERS[verb], "out", program=PROGRAM)
    _, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    assert begun(files) - before == PIECES - kept
    assert not (files / "out.part").exists()

    undisturbed = start(*ORDERS[verb], "other", program=PROGRAM)
    undisturbed.communicate(timeout=300)
    assert timeless(files / "out") == timeless(files / "other")


def test_ctrl_c_is_exit_code_130_and_says_how_to_go_on(files, start):
    process = start(*ORDERS["generate"], "out", program=PROGRAM, env={"HELD_AFTER": "1"})
    await_pieces(files, process, 1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (130, "")
    assert re.match(r"modelseal: interrupted; .* out\.part$", err.splitlines()[-1])
    assert not (files / "out").exists()
    again = start(*ORDERS["generate"], "out", program=PROGRAM)
    assert again.communicate(timeout=300)[0].startswith("out: ")
    assert {file.name for file in files.iterdir()} >= {"out", "begun"}
    assert not (files / "out.part").exists()


def test_too_little_time_for_the_samples_is_one_sentence_and_repeating_it_goes_on(files, start):
    order = (*ORDERS["seal"], "out", "--samples", 5, "--time-limit", 1e-6)
    for pieces in (1, 2):
        process = start(*order, program=PROGRAM)
        out, err = process.communicate(timeout=300)
        if process.returncode == 0:
            break
        assert (process.returncode, out) == (2, "")
        assert err.splitlines()[-1].endswith("; the candidates stay in out.part")
        assert begun(files) == len(list(files.glob("out.part/*.piece"))) == pieces
    assert pieces == 2
    assert len(load(files / "out")) == 5
