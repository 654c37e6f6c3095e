"""The program, run in this process or in one of its own, and files for it."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
import sealed
import torch
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

from modelseal.calibration.variants import ChannelsLast, Float64, Nnpack
from modelseal.cli import console
from modelseal.cli.app import app
from modelseal.endpoints.recorded import record
from modelseal.sealing import candidates

PROGRAM = "from modelseal.cli.app import main; main()"

NETWORKS = """
import time
from pathlib import Path
from torch import nn

def small():
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(384, 5)
    )

class Slow(nn.Sequential):
    '''Falls asleep when it is given more than the two inputs it is tried with.'''
    def forward(self, inputs):
        if len(inputs) > 2:
            Path(__file__).with_name("asleep").touch()
            time.sleep(60)
        return super().forward(inputs)

def slow():
    return Slow(*small())
"""

MODEL = """
[model]
factory = "network_of_cli_tests:{factory}"
weights = "{weights}"
[input]
shape = [1, 8, 8]
"""


@pytest.fixture
def run(monkeypatch):
    """Runs the program in this process, without lines of progress however slow the machine is."""
    monkeypatch.setattr(console, "PAUSE", math.inf)

    def invoke(*arguments, env=None):
        result = CliRunner().invoke(app, [str(each) for each in arguments], env=env)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def start(tmp_path):
    """Starts the program in a process of its own, in the test's folder."""

    def begin(*arguments, program=PROGRAM, **settings):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **settings.pop("env", {})}
        return subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            cwd=tmp_path,
            env=environment,
            stdout=settings.pop("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE,
            text=True,
            **settings,
        )

    return begin


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The test's folder, which is also where the program runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def seal_file(folder):
    """Writes a fingerprint that was made by hand, with its expected answers as recorded ones."""

    def build(*, wrong=(), **changes):
        made = sealed.fingerprint(**changes)
        made.save(folder / "out.seal")
        answers = made.expected
        for row in wrong:
            answers.labels[row] = (answers.labels[row] + 1) % made.classes
        record(answers, folder / "answers.jsonl")
        return made

    return build


def write_model(folder, *, factory="small", seed=0):
    """Writes a model.toml with a network and weights, and images for it."""
    (folder / "network_of_cli_tests.py").write_text(NETWORKS, encoding="utf-8")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        parts = (nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(384, 5))
        save_file(nn.Sequential(*parts).state_dict(), folder / f"weights{seed}.safetensors")
    text = MODEL.format(factory=factory, weights=f"weights{seed}.safetensors")
    path = folder / "model.toml"
    path.write_text(text, encoding="utf-8")
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 8), dtype=np.uint8)
    np.savez(folder / "images.npz", images=images)
    return path


@pytest.fixture
def model(folder):
    """Writes a model.toml with a network of five classes, and images for it."""

    def build(**settings):
        return write_model(folder, **settings)

    return build


@pytest.fixture
def few_variants(monkeypatch):
    """Calibrates in the quick ways only: compiling and exporting take half a minute."""
    quick = (Nnpack(), Float64(), ChannelsLast())
    monkeypatch.setattr(candidates, "list_variants", lambda model: quick)
