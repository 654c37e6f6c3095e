"""Torch's switches, each state in a process of its own: what was once set cannot all be unset."""

import subprocess
import sys

import pytest

from modelseal.runtime import devices

# What a program may have done before, by the old names and the new ones.
STATES = (
    "pass",
    "torch.set_float32_matmul_precision('high')",
    "torch.set_float32_matmul_precision('medium')",
    "torch.backends.cudnn.allow_tf32 = False",
    "torch.backends.cuda.matmul.allow_tf32 = True",
    "torch.backends.cudnn.conv.fp32_precision = 'ieee'",
    "torch.backends.cudnn.fp32_precision = 'tf32'",
    "torch.backends.fp32_precision = 'tf32'",
)
PROGRAM = """
import warnings
import torch
from modelseal.runtime.devices import forbid_tf32, without_tf32

def ask(question):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return question()
        except RuntimeError:
            return "disagree"

def tell():
    backends = torch.backends
    kinds = (
        backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn,
        backends.mkldnn.matmul, backends.mkldnn.conv, backends.mkldnn.rnn,
    )
    old = (
        torch.get_float32_matmul_precision,
        lambda: backends.cuda.matmul.allow_tf32,
        lambda: backends.cudnn.allow_tf32,
    )
    return [kind.fp32_precision for kind in kinds], [ask(each) for each in old]

FLOAT32 = ["ieee"] * 6, ["highest", False, False]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    {state}
warnings.simplefilter("error")
before = tell()
try:
    with without_tf32():
        assert tell() == FLOAT32, tell()
        with torch.backends.cudnn.flags(enabled=False):
            pass
        raise KeyError
except KeyError:
    assert tell() == before, (tell(), before)
forbid_tf32()
assert tell() == FLOAT32, tell()
"""


@pytest.mark.parametrize("state", STATES)
def test_float32_is_float32_and_the_switches_are_put_back(state):
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("{state}", state)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def test_torch_before_its_new_switches_has_the_old_ones(monkeypatch):
    monkeypatch.setattr(devices, "hasattr", lambda *_: False, raising=False)
    assert devices.list_switches() == []
    assert [each.exact for each in devices.list_old_switches()] == [False, False, "highest"]
