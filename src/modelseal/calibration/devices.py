"""The same network on another device, all numbers in full float32."""

from dataclasses import dataclass

import torch
from torch import nn

from modelseal.calibration.running import Inputs, copy_network, foreign_errors, run_network
from modelseal.errors import SealingError
from modelseal.performing.exactness import without_tf32
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
