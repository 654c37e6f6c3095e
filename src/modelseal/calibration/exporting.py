"""The same network as the program that torch exports."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.export import ExportedProgram

from modelseal.calibration.running import (
    Inputs,
    evaluating,
    foreign_errors,
    full_size,
    quiet_copies,
    run_network,
)
from modelseal.errors import InvalidArgumentError
from modelseal.shapes import Scores


@dataclass(frozen=True, slots=True)
class Exported:
    """The program of `torch.export`: the network's operations without its code."""

    @property
    def name(self) -> str:
        """It is `export`."""
        return "export"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores of each input.

        Raises:
            SealingError: The network cannot be exported.
        """
        return run_network(export_program(network, inputs).module(), inputs)


def export_program(network: nn.Module, inputs: Inputs) -> ExportedProgram:
    """The network in evaluation mode as a program that takes `full_size` inputs at a time.

    Args:
        network: It is left as it was.
        inputs: At least one, as the network takes them.

    Raises:
        InvalidArgumentError: There are no inputs.
        SealingError: The network cannot be exported.
    """
    if not len(inputs):
        raise InvalidArgumentError("at least one input is needed, but none came")
    examples = inputs[[row % len(inputs) for row in range(full_size(inputs))]]
    # One size is all that is run, and networks that fix it can be exported too.
    with evaluating(network), quiet_copies(), foreign_errors():
        return torch.export.export(network, (examples,))
