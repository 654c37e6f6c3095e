"""The same network compiled by torch."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import cast

import torch
from torch import nn

from modelseal.calibration.running import Inputs, foreign_errors, run_network
from modelseal.shapes import Scores

# More networks than one process will ever calibrate.
LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class Compiled:
    """The network compiled by torch; needs a C++ compiler and up to half a minute."""

    @property
    def name(self) -> str:
        """It is `compile`."""
        return "compile"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores of each input."""
        settings = import_module("torch._dynamo.config")
        # After eight networks or shapes the compiler would give up and run the next uncompiled.
        limits = settings.patch(recompile_limit=LIMIT, accumulated_recompile_limit=LIMIT)
        with quiet_compiler(), limits, foreign_errors():
            return run_network(cast(nn.Module, torch.compile(network, dynamic=False)), inputs)


@contextmanager
def quiet_compiler() -> Iterator[None]:
    """Silences a warning of the compiler about its own parts, and its advice to use TF32."""
    with warnings.catch_warnings():
        # Torch's own modules still use this when the compiler loads them for the first time.
        warnings.filterwarnings(
            "ignore", category=DeprecationWarning, message=r"`torch.jit.script_method`"
        )
        warnings.filterwarnings(
            "ignore", category=UserWarning, message="TensorFloat32 tensor cores"
        )
        yield
