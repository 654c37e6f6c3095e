import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from modelseal.calibration import exports
from modelseal.calibration.exports import (
    Reloaded,
    Restarted,
    answer,
    export_program,
    list_tensors,
    refill,
)
from modelseal.calibration.variants import reference
from modelseal.errors import SealingError


@pytest.fixture
def inputs(coloured):
    return coloured[0][:5]


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where temporary folders are made, each of which is expected to be gone at the end."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_reloaded_weights_are_those_of_the_file(tiny, inputs, monkeypatch):
    load = exports.load

    def doubled(content):
        return {
            name: each * 2 if name == "4.bias" else each for name, each in load(content).items()
        }

    expected = reference(tiny, inputs)
    assert (Reloaded()(tiny, inputs) == expected).all()
    monkeypatch.setattr(exports, "load", doubled)
    assert Reloaded()(tiny, inputs) == pytest.approx(expected + tiny[4].bias.numpy(), abs=1e-5)
    assert (reference(tiny, inputs) == expected).all()


def test_tied_weights_and_extra_state_can_be_reloaded(inputs):
    class Extra(nn.Linear):
        def get_extra_state(self):
            return "a note"

        def set_extra_state(self, state):
            pass

    first = Extra(192, 192)
    network = nn.Sequential(nn.Flatten(), first, Extra(192, 192))
    network[2].weight = first.weight
    assert (Reloaded()(network, inputs) == reference(network, inputs)).all()
    assert not any("extra" in name for name in list_tensors(network))


def test_weights_that_cannot_be_saved_are_said_in_one_sentence(inputs):
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 3, device="meta"))
    with pytest.raises(SealingError, match=r"^the network cannot be run in this way: [^\n]+$"):
        Reloaded()(network, inputs)


def test_weights_of_other_names_do_not_fit(tiny):
    tensors = list_tensors(tiny)
    del tensors["4.bias"]
    with pytest.raises(RuntimeError, match=r"weights \['4.bias'\] do not fit"):
        refill(tiny, tensors)


@pytest.mark.real
def test_a_fresh_process_gives_the_same_scores_and_leaves_no_file(tiny, inputs, temporary):
    assert np.abs(Restarted()(tiny, inputs) - reference(tiny, inputs)).max() < 1e-5
    # Torch keeps a folder of its own there once it has compiled anything.
    assert list(temporary.glob("modelseal-*")) == []


@pytest.fixture
def here(monkeypatch):
    """Does the other process's part in this one, and keeps the commands; starts in less time."""
    commands = []

    def run(command, **settings):
        commands.append(command)
        answer(Path(command[4]), command[6])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_the_other_process_runs_what_is_in_the_files(tiny, inputs, here, temporary):
    assert np.abs(Restarted()(tiny, inputs) - reference(tiny, inputs)).max() < 1e-5
    (command,) = here
    module, threads = "modelseal.calibration.exports", "1"
    assert command[:4] == (sys.executable, "-P", "-m", module)
    assert command[5:] == (threads, "cpu")
    assert list(temporary.glob("modelseal-*")) == []


def test_a_restarted_network_has_the_weights_of_the_weights_file(tiny, inputs, here, monkeypatch):
    expected = reference(tiny, inputs)

    def shifted(network):
        tensors = list_tensors(network)
        tensors["4.bias"] += 1
        return tensors

    monkeypatch.setattr(exports, "list_tensors", shifted)
    assert Restarted()(tiny, inputs) == pytest.approx(expected + 1, abs=1e-5)


def test_an_exported_program_can_be_restarted(tiny, inputs, here):
    program = export_program(tiny, inputs).module()
    assert np.abs(Restarted()(program, inputs) - reference(tiny, inputs)).max() < 1e-5


def test_a_process_that_fails_or_hangs_is_said_in_one_sentence(
    tiny, inputs, temporary, monkeypatch
):
    def ended(stderr, code=1):
        failed = subprocess.CompletedProcess((), code, stderr=stderr)
        return lambda *args, **settings: failed

    def hang(command, *, timeout, **settings):
        raise subprocess.TimeoutExpired("python", timeout)

    for run, problem in (
        (ended("Traceback:\n  a line\nOSError: no room\n"), "by another process: OSError: no room"),
        (ended("", -9), "by another process: exit code -9"),
        (hang, "in this way: Command 'python' timed out after 600 seconds"),
    ):
        monkeypatch.setattr(subprocess, "run", run)
        with pytest.raises(SealingError, match=f"^the network cannot be run {problem}$"):
            Restarted()(tiny, inputs)
    assert list(temporary.glob("modelseal-*")) == []


@pytest.mark.real
def test_what_another_process_says_last_is_the_reason(tmp_path):
    with pytest.raises(SealingError, match=r"by another process: .*program.pt2"):
        exports.start(tmp_path, "cpu")


def test_the_other_process_multiplies_float32_as_float32(tiny, inputs, here, monkeypatch):
    inside = []

    @contextmanager
    def watched():
        inside.append("begin")
        yield
        inside.append("end")

    def run(network, rows):
        inside.append("run")
        return reference(network, rows)

    monkeypatch.setattr(exports, "without_tf32", watched)
    monkeypatch.setattr(exports, "run_network", run)
    Restarted()(tiny, inputs)
    assert inside == ["begin", "run", "end"]


def test_the_number_of_threads_goes_with_the_network(tiny, inputs, here):
    try:
        torch.set_num_threads(2)
        Restarted()(tiny, inputs)
    finally:
        torch.set_num_threads(1)
    assert here[0][5] == "2"
