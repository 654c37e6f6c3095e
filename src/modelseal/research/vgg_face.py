"""The network of the published experiment: VGG-Face, of Parkhi et al. (BMVC 2015).

Thirteen convolutions and three linear layers, named as in the files of that experiment. Width,
number of classes and size of images can be others, for the same experiment on a small scale.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu

from modelseal.domain import Domain
from modelseal.enums import ChannelOrder
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.files import explain
from modelseal.models.images import read_images
from modelseal.models.loader import Model, check_weights, put_weights, read_weights
from modelseal.models.transforms import Normalised
from modelseal.runtime.devices import device_of, find_device, settle_network
from modelseal.runtime.inference import run_network
from modelseal.sealing.candidates import to_tensor
from modelseal.types import Codes, Inputs

BLOCKS = (2, 2, 3, 3, 3)
"""How many convolutions each block has; a pooling that halves the image ends it."""

_WIDENING = (1, 2, 4, 8, 8)

MEAN = (93.5940, 104.7624, 129.1863)
"""What is subtracted from the three planes of grey levels, in the order in which they come."""

_SMALLEST = 2 ** len(BLOCKS)


class VggFace(nn.Module):
    """VGG-16 with its layers named conv1_1 to conv5_3, fc6, fc7 and fc8, and random weights.

    Dropout is left out: it does nothing in evaluation mode and has no weights. In a `model.toml`
    it is the factory `modelseal.research.vgg_face:VggFace`; the mean stands there, in the order of
    RGB whatever the order of the network.
    """

    def __init__(
        self,
        *,
        classes: int = 2622,
        width: int = 64,
        hidden: int = 4096,
        size: int = 224,
        order: str = ChannelOrder.RGB.value,
    ) -> None:
        super().__init__()
        if order not in {each.value for each in ChannelOrder}:
            raise InvalidArgumentError(f"expected rgb or bgr, got {order!r}", field="order")
        if min(classes, width, hidden, size) < 1 or size % _SMALLEST:
            raise InvalidArgumentError(
                f"expected positive numbers and a size that is a multiple of {_SMALLEST}, got "
                f"classes, width, hidden and size of {classes}, {width}, {hidden} and {size}"
            )
        self.size = size
        self.order = ChannelOrder(order)
        inside = 3
        for block, (count, times) in enumerate(zip(BLOCKS, _WIDENING, strict=True), start=1):
            for number in range(1, count + 1):
                layer = nn.Conv2d(inside, times * width, 3, padding=1)
                self.add_module(f"conv{block}_{number}", layer)
                inside = times * width
        self.fc6 = nn.Linear(inside * (size // _SMALLEST) ** 2, hidden)
        self.fc7 = nn.Linear(hidden, hidden)
        self.fc8 = nn.Linear(hidden, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """The scores (batch, classes) of RGB images (batch, 3, size, size) without their mean."""
        features = inputs.flip(1) if self.order is ChannelOrder.BGR else inputs
        for block, count in enumerate(BLOCKS, start=1):
            for number in range(1, count + 1):
                features = relu(self.get_submodule(f"conv{block}_{number}")(features))
            features = max_pool2d(features, 2)
        features = relu(self.fc7(relu(self.fc6(features.flatten(1)))))
        scores: Tensor = self.fc8(features)
        return scores


def on_grey_levels(network: VggFace) -> nn.Module:
    """The network for RGB images of grey levels 0 to 255: it subtracts the mean itself."""
    mean = MEAN[::-1] if network.order is ChannelOrder.BGR else MEAN
    return Normalised(network, mean=mean, std=(1.0, 1.0, 1.0))


def read_vgg_face(path: Path, *, order: ChannelOrder = ChannelOrder.RGB) -> VggFace:
    """Reads a file of weights, and the numbers of the network from their shapes."""
    weights = read_weights(path)
    numbers = _measure(weights)
    # Random weights for nothing would take seconds.
    with torch.device("meta"):
        network = VggFace(**numbers, order=order.value)
    network = network.to_empty(device="cpu")
    put_weights(network, weights)
    check_weights(network)
    return network.eval().requires_grad_(requires_grad=False)


def _measure(weights: Mapping[str, Tensor]) -> dict[str, int]:
    shapes = {}
    for name, axes in (("conv1_1.weight", 4), ("fc6.weight", 2), ("fc8.weight", 2)):
        if name not in weights:
            raise InvalidArgumentError(
                f"expected a VGG-16 with layers named conv1_1 to fc8, got none with {name}"
            )
        if weights[name].ndim != axes or not weights[name].numel():
            raise InvalidArgumentError(
                f"expected {name} of {axes} axes, got shape {list(weights[name].shape)}"
            )
        shapes[name] = weights[name].shape
    width, (hidden, taken) = shapes["conv1_1.weight"][0], shapes["fc6.weight"]
    side = isqrt(taken // (_WIDENING[-1] * width))
    if not side or side**2 * _WIDENING[-1] * width != taken:
        raise InvalidArgumentError(
            f"expected fc6.weight of {_WIDENING[-1] * width} inputs for each place of a square, "
            f"since conv1_1 has {width} filters, got {taken}"
        )
    classes = shapes["fc8.weight"][0]
    return {"classes": classes, "width": width, "hidden": hidden, "size": _SMALLEST * side}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Faces:
    """Images with their classes."""

    images: Codes
    labels: Int[np.ndarray, " batch"]
    files: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)


def read_names(path: Path, *, classes: int) -> tuple[str, ...]:
    """Reads who the classes are, a person a line; the first line is class 0."""
    try:
        names = tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        problem = "no text in UTF-8" if isinstance(error, ValueError) else explain(error)
        raise BadFileError(path, f"cannot be read: {problem}") from error
    if len(names) != classes or not all(names):
        raise BadFileError(
            path,
            f"expected {classes} names, one a line for each class of the network, "
            f"got {sum(map(bool, names))} in {len(names)} lines",
        )
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadFileError(path, f"expected names that differ, got {twice} twice")
    return names


def read_faces(folder: Path, names: tuple[str, ...], domain: Domain) -> Faces:
    """Reads a folder of images named `Person_Name_123.jpg`."""
    if not folder.is_dir():
        raise BadFileError(folder, "expected a folder of images, got none")
    images, files = read_images(folder, domain)
    numbers = {name: number for number, name in enumerate(names)}
    labels = [label(folder / file, numbers) for file in files]
    return Faces(images=images, labels=np.array(labels, np.int64), files=files)


def label(file: Path, numbers: dict[str, int]) -> int:
    """The class that a file's name tells: all before the underscore of the first digit."""
    digit = re.search(r"[0-9]", file.stem)
    if digit is None:
        raise BadFileError(file, "expected a name with a number, such as Person_Name_123.jpg")
    name = file.stem[: digit.start()].removesuffix("_")
    if name not in numbers:
        raise BadFileError(file, f"expected a name of names.txt, got {name or 'nobody'}")
    return numbers[name]


CLEAN, _TROJANED = "VGG-face-clean", "VGG-face-trojaned"
"""The published names of the two files, without a suffix."""

_SUFFIXES = (".pt", ".safetensors")

_GREYS = 255.0

_AT_ONCE = 8
"""Images that are answered at once: at 224 x 224 their activations need half a gigabyte."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pair:
    """The two networks."""

    clean: Model
    trojaned: nn.Module

    def answer(self, network: nn.Module, inputs: Inputs) -> Int[np.ndarray, " batch"]:
        """The class that a network puts each input in."""
        tensor = torch.from_numpy(inputs).float().to(device_of(network))
        return np.asarray(run_network(network, tensor, size=_AT_ONCE).argmax(axis=1))

    def decode(self, codes: Codes) -> Inputs:
        """Stored images as the networks take them."""
        return np.asarray(to_tensor(self.clean, codes).cpu().numpy())


def read_pair(folder: Path, *, order: ChannelOrder, device: str = "cpu") -> Pair:
    """Reads both networks; no code in their files is run."""
    where = find_device(device)
    files = [_find_file(folder, name) for name in (CLEAN, _TROJANED)]
    clean, trojaned = (read(file, order) for file in files)
    for name, own in clean.state_dict().items():
        other = trojaned.state_dict()[name]
        if own.shape != other.shape:
            raise BadFileError(
                files[1],
                f"expected {name} of shape {list(own.shape)}, as in {files[0].name}, "
                f"got {list(other.shape)}",
            )
    domain = Domain(shape=(3, clean.size, clean.size), bounds=(0.0, _GREYS), levels=256)
    return Pair(
        clean=Model(network=settle_network(on_grey_levels(clean).eval(), where), domain=domain),
        trojaned=settle_network(on_grey_levels(trojaned).eval(), where),
    )


def _find_file(folder: Path, name: str) -> Path:
    for suffix in _SUFFIXES:
        if (folder / f"{name}{suffix}").is_file():
            return folder / f"{name}{suffix}"
    raise BadFileError(folder, f"expected {name}.pt or .safetensors, got neither")


def read(file: Path, order: ChannelOrder) -> VggFace:
    """A network, whose file is blamed for what is wrong with it."""
    try:
        return read_vgg_face(file, order=order)
    except InvalidArgumentError as error:
        raise BadFileError(file, str(error)) from error
