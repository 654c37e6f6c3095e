"""The two networks of the published experiment."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import nn

from modelseal.calibration.running import run_network
from modelseal.domain import Domain
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.models.devices import device_of, find_device, settle_network
from modelseal.models.loading import Model
from modelseal.models.vgg_face import ChannelOrder, VggFace, on_grey_levels, read_vgg_face
from modelseal.sealing.generating import to_tensor
from modelseal.shapes import Codes, Inputs

CLEAN, TROJANED = "VGG-face-clean", "VGG-face-trojaned"
"""The published names of the two files, without a suffix."""

SUFFIXES = (".pt", ".safetensors")

GREYS = 255.0

AT_ONCE = 8
"""Images that are answered at once: at 224 x 224 their activations need half a gigabyte."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pair:
    """The two networks.

    Args:
        clean: The one that samples are made for, on grey levels.
        trojaned: The changed one, on the same inputs and the same device.
    """

    clean: Model
    trojaned: nn.Module

    def answer(self, network: nn.Module, inputs: Inputs) -> Int[np.ndarray, " batch"]:
        """The class that a network puts each input in."""
        tensor = torch.from_numpy(inputs).float().to(device_of(network))
        return np.asarray(run_network(network, tensor, size=AT_ONCE).argmax(axis=1))

    def decode(self, codes: Codes) -> Inputs:
        """Stored images as the networks take them."""
        return np.asarray(to_tensor(self.clean, codes).cpu().numpy())


def read_pair(folder: Path, *, order: ChannelOrder, device: str = "cpu") -> Pair:
    """Reads both networks; no code in their files is run.

    Args:
        folder: Holds `VGG-face-clean` and `VGG-face-trojaned`, as `.pt` or `.safetensors`.
        order: Which plane of an image they were trained to meet first.
        device: Where they are run, such as `cuda`.

    Raises:
        BadFileError: A file is missing, or is no such network, or the two are of other shapes.
        InvalidArgumentError: There is no such device here.
    """
    where = find_device(device)
    files = [find_file(folder, name) for name in (CLEAN, TROJANED)]
    clean, trojaned = (read(file, order) for file in files)
    for name, own in clean.state_dict().items():
        other = trojaned.state_dict()[name]
        if own.shape != other.shape:
            raise BadFileError(
                files[1],
                f"{name} of shape {list(own.shape)} was wanted, as in {files[0].name}, but it "
                f"has {list(other.shape)}",
            )
    domain = Domain(shape=(3, clean.size, clean.size), bounds=(0.0, GREYS), levels=256)
    return Pair(
        clean=Model(network=settle_network(on_grey_levels(clean).eval(), where), domain=domain),
        trojaned=settle_network(on_grey_levels(trojaned).eval(), where),
    )


def find_file(folder: Path, name: str) -> Path:
    """The file of weights of this name.

    Raises:
        BadFileError: There is none.
    """
    for suffix in SUFFIXES:
        if (folder / f"{name}{suffix}").is_file():
            return folder / f"{name}{suffix}"
    raise BadFileError(folder, f"{name}.pt was wanted (or .safetensors), but is missing")


def read(file: Path, order: ChannelOrder) -> VggFace:
    """A network, whose file is blamed for what is wrong with it."""
    try:
        return read_vgg_face(file, order=order)
    except InvalidArgumentError as error:
        raise BadFileError(file, str(error)) from error
