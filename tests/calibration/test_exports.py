import gc
import logging
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from refusals import refuses
from torch import nn

from modelseal.calibration import exports
from modelseal.calibration.exports import (
    Exported,
    Exports,
    OnnxRuntime,
    Optimisation,
    Reloaded,
    Restarted,
    export_program,
    run_folder,
)
from modelseal.calibration.variants import reference
from modelseal.errors import MissingExtraError, SealingError
from modelseal.runtime.inference import BATCH

# Rounding moves scores by up to 1e-6; a batch's own statistics by tenths.
CLOSE = 1e-5


class Branching(nn.Module):
    """Cannot be exported."""

    def forward(self, images):
        return images.flatten(1) if images.sum() > 0 else images.flatten(1) * 2


class Extra(nn.Linear):
    """Has a state that is no tensor."""

    def get_extra_state(self):
        return "a note"

    def set_extra_state(self, state):
        pass


@pytest.fixture
def inputs(coloured):
    return coloured[0][:5]


def moved(scores, expected):
    return np.abs(scores - expected).max()


def replaced(monkeypatch, owner, name, value):
    monkeypatch.setattr(owner, name, value)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 3))


@pytest.mark.parametrize(
    ("variant", "make", "said"),
    [
        (Exported(), lambda _: Branching(), None),
        (OnnxRuntime(), lambda _: Branching(), None),
        (
            OnnxRuntime(Optimisation.LAYOUT),
            lambda m: replaced(m, onnxruntime, "GraphOptimizationLevel", object()),
            "ORT_ENABLE_LAYOUT",
        ),
        (OnnxRuntime(), lambda m: replaced(m, exports, "export_onnx", lambda *_: b"junk"), None),
        (Reloaded(), lambda m: replaced(m, exports, "load", lambda _: {}), "1.bias"),
        (Reloaded(), lambda _: nn.Sequential(nn.Linear(192, 3, device="meta")), None),
    ],
)
def test_what_cannot_be_exported_or_run_is_said_in_one_sentence(
    variant, make, said, inputs, monkeypatch
):
    with refuses(SealingError, match=said):
        variant(make(monkeypatch), inputs)


def test_a_program_is_of_the_network_in_evaluation_mode_which_is_left_in_its_own(tiny, inputs):
    expected = reference(tiny, inputs)
    tiny.train()
    statistics = tiny[1].running_mean.clone()
    program = export_program(tiny, inputs)
    assert moved(reference(program.module(), inputs), expected) < CLOSE
    assert all(module.training for module in tiny.modules())
    assert (tiny[1].running_mean == statistics).all()


def test_networks_that_fix_their_batch_size_and_few_inputs_are_exported_too(inputs):
    class Fixed(nn.Module):
        def forward(self, images):
            return images.reshape(BATCH, -1)[:, :3]

    assert (Exported()(Fixed(), inputs) == inputs.reshape(5, -1)[:, :3].numpy()).all()


@pytest.fixture
def exported(monkeypatch):
    """Notes which networks were exported to ONNX."""
    seen, export = [], exports.export_onnx

    def note(network, inputs):
        seen.append(network)
        return export(network, inputs)

    monkeypatch.setattr(exports, "export_onnx", note)
    return seen


def test_levels_export_once_and_again_when_a_weight_changes(tiny, inputs, exported):
    kept = Exports()
    levels = [OnnxRuntime(one, kept) for one in Optimisation]
    for level in levels:
        level(tiny, inputs)
    assert exported == [tiny]
    with torch.no_grad():
        tiny[4].bias[1] += 1
    changed = levels[0](tiny, inputs)
    assert exported == [tiny, tiny]
    assert moved(changed, reference(tiny, inputs)) < CLOSE


def test_a_kept_export_goes_with_its_network(inputs):
    kept = Exports()
    network = nn.Sequential(nn.Flatten(), Extra(192, 2))
    kept.of(network, inputs)
    assert len(kept._kept) == 1
    del network
    # What exporting left behind may be a circle.
    gc.collect()
    assert len(kept._kept) == 0


def test_every_level_and_the_number_of_threads_reach_the_runtime(tiny, inputs, monkeypatch):
    options, session = [], onnxruntime.InferenceSession

    def note(program, given, **settings):
        options.append(given)
        return session(program, given, **settings)

    monkeypatch.setattr(onnxruntime, "InferenceSession", note)
    kept = Exports()
    for optimisation in Optimisation:
        OnnxRuntime(optimisation, kept)(tiny, inputs)
    assert [one.graph_optimization_level.name for one in options] == [
        "ORT_ENABLE_ALL", "ORT_ENABLE_LAYOUT", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_BASIC",
        "ORT_DISABLE_ALL",
    ]  # fmt: skip
    assert {one.intra_op_num_threads for one in options} == {torch.get_num_threads()} == {1}


def test_exporting_says_nothing_and_puts_the_log_back(tiny, inputs, capfd):
    exports.export_onnx(tiny, inputs)
    assert capfd.readouterr() == ("", "")
    assert not logging.getLogger("torch.onnx._internal.exporter._registration").disabled


def test_what_is_not_installed_is_named_with_its_extra(tiny, inputs, monkeypatch):
    def fail(*args, **kwargs):
        raise ModuleNotFoundError("No module named 'onnxscript'")

    with monkeypatch.context() as patch:
        patch.setattr(torch.onnx, "export", fail)
        with refuses(MissingExtraError, match=r"modelseal\[export\]"):
            OnnxRuntime()(tiny, inputs)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with refuses(MissingExtraError, match=r"modelseal\[export\]"):
        OnnxRuntime()(tiny, inputs)


def test_reloaded_weights_are_those_of_the_file(tiny, inputs, monkeypatch):
    load = exports.load

    def doubled(content):
        return {
            name: each * 2 if name == "4.bias" else each for name, each in load(content).items()
        }

    expected = reference(tiny, inputs)
    assert (Reloaded()(tiny, inputs) == expected).all()
    monkeypatch.setattr(exports, "load", doubled)
    assert Reloaded()(tiny, inputs) == pytest.approx(expected + tiny[4].bias.numpy(), abs=CLOSE)
    assert (reference(tiny, inputs) == expected).all()


def test_tied_weights_and_extra_state_can_be_reloaded(inputs):
    first = Extra(192, 192)
    network = nn.Sequential(nn.Flatten(), first, Extra(192, 192))
    network[2].weight = first.weight
    assert (Reloaded()(network, inputs) == reference(network, inputs)).all()


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where temporary folders are made, each of which is expected to be gone at the end."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def here(monkeypatch):
    """Does the other process's part in this one, and keeps the commands; starts in less time."""
    commands = []

    def run(command, **settings):
        commands.append(command)
        run_folder(Path(command[4]), command[6])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    return commands


@pytest.mark.real
def test_a_fresh_process_gives_the_same_scores_and_leaves_no_file(tiny, inputs, temporary):
    assert moved(Restarted()(tiny, inputs), reference(tiny, inputs)) < CLOSE
    # Torch keeps a folder of its own there once it has compiled anything.
    assert list(temporary.glob("modelseal-*")) == []


def test_the_other_process_runs_what_is_in_the_files(tiny, inputs, here, temporary, monkeypatch):
    expected = reference(tiny, inputs)
    assert moved(Restarted()(tiny, inputs), expected) < CLOSE
    assert here[0][:4] == (sys.executable, "-P", "-m", "modelseal.calibration.exports")
    assert here[0][5:] == ("1", "cpu")
    assert list(temporary.glob("modelseal-*")) == []
    load = exports.load_file

    def shifted(path):
        return {name: each + (name == "4.bias") for name, each in load(path).items()}

    monkeypatch.setattr(exports, "load_file", shifted)
    assert Restarted()(tiny, inputs) == pytest.approx(expected + 1, abs=CLOSE)


@pytest.mark.parametrize(
    ("ended", "problem"),
    [
        (
            subprocess.CompletedProcess((), -9, stderr="Traceback:\n a\nOSError: no\n"),
            "OSError: no",
        ),
        (subprocess.CompletedProcess((), -9, stderr=""), "-9"),
        (subprocess.TimeoutExpired("python", 600), "600 seconds"),
    ],
)
def test_a_process_that_fails_or_hangs_is_said_in_one_sentence(
    ended, problem, tiny, inputs, temporary, monkeypatch
):
    def run(*args, timeout, **settings):
        assert timeout == 600
        if isinstance(ended, Exception):
            raise ended
        return ended

    monkeypatch.setattr(subprocess, "run", run)
    with refuses(SealingError, match=rf"{problem}$"):
        Restarted()(tiny, inputs)
    assert list(temporary.glob("modelseal-*")) == []
