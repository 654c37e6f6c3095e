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

from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError, SealingError
from modelseal.runtime.inference import Inputs, run_network
from modelseal.types import Array, Codes, Scores

Send: TypeAlias = Callable[[Array], Array]
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
    """Inputs of a domain that were written in one form, sent and read again."""

    form: Form
    domain: Domain

    @property
    def name(self) -> str:
        """Such as `sent-as-png`."""
        return f"sent-as-{self.form.value}"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores of what arrived, if inputs of the domain can be sent so."""
        codes = self._encode(inputs.detach().cpu().numpy())
        if self.form is Form.PNG:
            _check_picture(self.domain)
        arrived = np.stack([SENDS[self.form](code) for code in codes])
        # Another value is run, so that it counts by what it does; another form cannot be.
        if (arrived.dtype, arrived.shape) != (codes.dtype, codes.shape):
            raise SealingError(f"inputs sent as {self.form.value} arrived in another form")
        # Another layout in memory would be another variant.
        values = np.ascontiguousarray(self.domain.decode(arrived))
        return run_network(network, torch.from_numpy(values).to(inputs))

    def _encode(self, given: Array) -> Codes:
        if self.domain.contains(given).all():
            codes = self.domain.encode(given)
            if np.array_equal(self.domain.decode(codes), given):
                return codes
        raise InvalidArgumentError(
            f"expected inputs of shape {list(self.domain.shape)} on the domain's levels to the "
            f"bit, got others of shape {list(given.shape[1:])}"
        )


def _check_picture(domain: Domain) -> None:
    match domain.shape:
        case (_, _) | (1 | 3 | 4, _, _) if domain.levels == 256:
            return
    raise InvalidArgumentError(
        "expected 256 levels and one, three or four channels for a PNG file, "
        f"got shape {list(domain.shape)} and {domain.levels} levels"
    )


def _send_png(code: Array) -> Array:
    pixels = code.reshape(-1, *code.shape[-2:]).transpose(1, 2, 0)
    plain = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(plain)).save(file, format="PNG")
    with Image.open(io.BytesIO(file.getvalue()), formats=("PNG",)) as opened:
        read = np.array(opened).reshape(pixels.shape)
    return cast(Array, read.transpose(2, 0, 1).reshape(code.shape))


def _send_json(code: Array) -> Array:
    return np.array(json.loads(json.dumps(code.tolist())), dtype=code.dtype)


def _send_bytes(code: Array) -> Array:
    """Little-endian."""
    order = code.dtype.newbyteorder("<")
    read = np.frombuffer(code.astype(order).tobytes(), order)
    return read.astype(code.dtype).reshape(code.shape)


SENDS: dict[Form, Send] = {
    Form.PNG: _send_png,
    Form.JSON: _send_json,
    Form.BYTES: _send_bytes,
}
"""How each form is written and read."""
