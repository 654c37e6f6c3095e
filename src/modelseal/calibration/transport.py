"""The same inputs on their way to a server: what arrives must be the same to the bit."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, cast

import numpy as np
import torch
from PIL import Image
from torch import nn

from modelseal.domain import Domain, encode_png
from modelseal.errors import InvalidArgumentError, SealingError
from modelseal.runtime.inference import Inputs, run_network
from modelseal.types import Array, Codes, Scores

Sending: TypeAlias = Callable[[Array], Array]
"""Takes one stored input, sends it, and gives what arrived."""


class Form(Enum):
    """How an input is written for its way."""

    PNG = "png"
    """A lossless image, of 256 levels and one, three or four channels."""
    JSON = "json"
    """A list of numbers."""
    BYTES = "bytes"
    """The numbers as they lie in memory."""


@dataclass(frozen=True, slots=True)
class Sent:
    """Inputs that were written, sent and read again.

    Args:
        form: How they are written.
        domain: What a valid input is.
    """

    form: Form
    domain: Domain

    @property
    def name(self) -> str:
        """Such as `sent-as-png`."""
        return f"sent-as-{self.form.value}"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores of what arrived.

        Raises:
            InvalidArgumentError: The inputs are none of the domain, or cannot be sent so.
            SealingError: Something of another type or shape arrived.
        """
        given = inputs.detach().cpu().numpy()
        codes = as_codes(given, self.domain)
        if self.form is Form.PNG:
            check_picture(self.domain)
        arrived = np.stack([SENDINGS[self.form](code) for code in codes])
        # Another value is run, so that it counts by what it does; another form cannot be.
        if (arrived.dtype, arrived.shape) != (codes.dtype, codes.shape):
            raise SealingError(f"inputs sent as {self.form.value} arrived in another form")
        # Another layout in memory would be another variant.
        values = np.ascontiguousarray(self.domain.decode(arrived))
        return run_network(network, torch.from_numpy(values).to(inputs))


def as_codes(given: Array, domain: Domain) -> Codes:
    """Inputs as they are stored, if that loses nothing.

    Raises:
        InvalidArgumentError: They are none of the domain, or not to the bit as it decodes them.
    """
    if domain.contains(given).all():
        codes = domain.encode(given)
        if np.array_equal(domain.decode(codes), given):
            return codes
    raise InvalidArgumentError(
        f"inputs of shape {list(domain.shape)} that lie on the domain's levels to the bit are "
        "needed to send them"
    )


def check_picture(domain: Domain) -> None:
    """Makes sure that inputs are 8-bit images.

    Raises:
        InvalidArgumentError: They are not.
    """
    match domain.shape:
        case (_, _) | (1 | 3 | 4, _, _) if domain.levels == 256:
            return
    raise InvalidArgumentError(
        "a PNG file needs 256 levels and one, three or four channels, "
        f"but inputs have shape {list(domain.shape)} and {domain.levels} levels"
    )


def send_png(code: Array) -> Array:
    """Writes and reads one input as a PNG file."""
    pixels = code.reshape(-1, *code.shape[-2:]).transpose(1, 2, 0)
    with Image.open(io.BytesIO(encode_png(code)), formats=("PNG",)) as opened:
        read = np.array(opened).reshape(pixels.shape)
    return cast(Array, read.transpose(2, 0, 1).reshape(code.shape))


def send_json(code: Array) -> Array:
    """Writes and reads one input as a JSON list."""
    return np.array(json.loads(json.dumps(code.tolist())), dtype=code.dtype)


def send_bytes(code: Array) -> Array:
    """Writes and reads one input as bytes, of the lowest place first."""
    order = code.dtype.newbyteorder("<")
    read = np.frombuffer(code.astype(order).tobytes(), order)
    return read.astype(code.dtype).reshape(code.shape)


SENDINGS: dict[Form, Sending] = {
    Form.PNG: send_png,
    Form.JSON: send_json,
    Form.BYTES: send_bytes,
}
"""How each form is written and read."""
