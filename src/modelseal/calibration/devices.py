"""The same network on another device, all numbers in full float32."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from modelseal.calibration.running import Inputs, copy_network, foreign_errors, run_network
from modelseal.errors import SealingError
from modelseal.shapes import Scores


@dataclass(frozen=True, slots=True)
class OnDevice:
    """Another device, such as a GPU; TF32 is off there, which is a precision of its own.

    Args:
        device: As torch names it.
    """

    device: str = "cuda"

    @property
    def name(self) -> str:
        """Such as `on-cuda`."""
        return f"on-{self.device.replace(':', '-')}"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores of each input.

        Raises:
            SealingError: There is no such device.
        """
        if self.device.startswith("cuda") and not torch.cuda.is_available():
            raise SealingError("this machine has no GPU that torch can use")
        moved = copy_network(network)
        with foreign_errors(), without_tf32():
            return run_network(moved.to(self.device), inputs.to(self.device))


@contextmanager
def without_tf32() -> Iterator[None]:
    """Switches TF32 off for convolutions and matrix products, and back afterwards."""
    kinds = (torch.backends.cuda.matmul, torch.backends.cudnn)
    with quiet_switches():
        before = [kind.allow_tf32 for kind in kinds]
    try:
        switch(kinds, [False, False])
        yield
    finally:
        switch(kinds, before)


def switch(kinds: tuple[object, ...], states: list[bool]) -> None:
    """Sets whether each kind of operation may use TF32."""
    with quiet_switches():
        for kind, state in zip(kinds, states, strict=True):
            setattr(kind, "allow_tf32", state)  # noqa: B010 (torch declares a module, not these)


@contextmanager
def quiet_switches() -> Iterator[None]:
    """Silences a warning about the switches, which torch before 2.9 knows by no other name."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, message=".*TF32")
        yield
