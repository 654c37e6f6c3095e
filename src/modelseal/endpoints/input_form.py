"""How a served model takes its inputs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelseal.domain import Domain
from modelseal.errors import EndpointError
from modelseal.shapes import Array, Codes

ANY = -1
"""The size of an axis that a model leaves open."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InputForm:
    """How a served model takes its inputs.

    Args:
        name: What the model calls its input.
        datatype: FP32 or FP64 for values within the domain's bounds, UINT8 for bytes. FP16 is
            left out on purpose: it would move the values of most levels.
        batch: How many inputs the model takes at a time; 0 for any number.
        channels_last: Whether the domain's first axis comes last at the model.
    """

    name: str
    datatype: str = "FP32"
    batch: int = 0
    channels_last: bool = False

    def arrange(self, codes: Codes, domain: Domain) -> Array:
        """The inputs as the model takes them, batch axis first.

        Raises:
            InvalidArgumentError: The codes are not valid in the domain.
            EndpointError: The model takes bytes, and the domain's values are none.
        """
        if self.datatype == "UINT8":
            inputs = as_bytes(codes, domain)
        else:
            wanted = np.float64 if self.datatype == "FP64" else np.float32
            inputs = domain.decode(codes).astype(wanted)
        moved = np.moveaxis(inputs, 1, -1) if self.channels_last else inputs
        return np.ascontiguousarray(moved)


def as_bytes(codes: Codes, domain: Domain) -> Array:
    """Inputs as bytes: the level numbers of 256 levels, else values that are whole bytes.

    Raises:
        InvalidArgumentError: The codes are not valid in the domain.
        EndpointError: The domain's values are no bytes.
    """
    values = domain.decode(codes)
    if domain.levels == 256:
        return codes
    if not domain.levels or not np.isin(domain.table, np.arange(256)).all():
        raise EndpointError("the model takes bytes (UINT8), but the inputs' values are no bytes")
    return values.astype(np.uint8)


def input_form(name: str, datatype: str, shape: Sequence[int], domain: Domain) -> InputForm:
    """How a model that declares its input so takes the inputs of a domain.

    Args:
        name: What the model calls its input.
        datatype: The type of its numbers, as the Open Inference Protocol names it.
        shape: The sizes of all axes, batch first; -1 for an open size.
        domain: What a valid input is. A model whose shape is the domain's with the first axis
            moved to the end gets its inputs transposed.

    Raises:
        EndpointError: The model takes other inputs.
    """
    if datatype not in {"FP32", "FP64", "UINT8"}:
        raise EndpointError(f"a model that takes FP32, FP64 or UINT8 was wanted, not {datatype}")
    first, last = domain.shape, (*domain.shape[1:], domain.shape[0])
    for order in (first, last):
        if fits((ANY, *order), shape) and shape[0] != 0:
            return InputForm(
                name=name,
                datatype=datatype,
                batch=max(shape[0], 0),
                channels_last=order is not first,
            )
    raise EndpointError(
        f"a model that takes shape {[ANY, *first]} was wanted, but it takes {list(shape)}"
    )


def fits(wanted: Sequence[int], declared: Sequence[int]) -> bool:
    """Whether two shapes are the same where neither leaves a size open."""
    return len(wanted) == len(declared) and all(
        first == second or ANY in (first, second)
        for first, second in zip(wanted, declared, strict=True)
    )
