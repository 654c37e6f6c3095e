"""The network of the published experiment: VGG-Face, of Parkhi et al. (BMVC 2015).

Thirteen convolutions and three linear layers, named as in the files of that experiment. Width,
number of classes and size of images can be others, for the same experiment on a small scale.
"""

from collections.abc import Mapping
from enum import Enum
from math import isqrt
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu

from modelseal.errors import InvalidArgumentError
from modelseal.models.normalising import Normalised
from modelseal.models.weights import check_weights, put_weights, read_weights

BLOCKS = (2, 2, 3, 3, 3)
"""How many convolutions each block has; a pooling that halves the image ends it."""

WIDENING = (1, 2, 4, 8, 8)
"""How many times wider than the first block each block is."""

MEAN = (93.5940, 104.7624, 129.1863)
"""What is subtracted from the three planes of grey levels, in the order in which they come."""

SMALLEST = 2 ** len(BLOCKS)
"""Pixels that the poolings make one of."""


class ChannelOrder(Enum):
    """In which order the planes of an image meet the network, and so its mean."""

    RGB = "rgb"
    """Red first, as the trojaned checkpoints were trained and the published code feeds them."""
    BGR = "bgr"
    """Blue first, as the network was first trained in Caffe."""


class VggFace(nn.Module):
    """VGG-16 with its layers named conv1_1 to conv5_3, fc6, fc7 and fc8, and random weights.

    Dropout is left out: it does nothing in evaluation mode and has no weights. In a `model.toml`
    it is the factory `modelseal.models.vgg_face:VggFace`; the mean stands there, in the order of
    RGB whatever the order of the network.

    Args:
        classes: How many scores come out.
        width: Channels of the first block.
        hidden: Outputs of fc6 and fc7.
        size: Height and width of images in pixels, a multiple of 32.
        order: The value of a `ChannelOrder`; for `bgr` the network turns the planes round itself.

    Raises:
        InvalidArgumentError: A number is out of its range, or there is no such order.
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
            raise InvalidArgumentError(f"the order needs to be rgb or bgr, but is {order!r}")
        if min(classes, width, hidden, size) < 1 or size % SMALLEST:
            raise InvalidArgumentError(
                f"positive numbers and a size that is a multiple of {SMALLEST} are needed, but "
                f"classes, width, hidden and size are {classes}, {width}, {hidden} and {size}"
            )
        self.size = size
        self.order = ChannelOrder(order)
        inside = 3
        for block, (count, times) in enumerate(zip(BLOCKS, WIDENING, strict=True), start=1):
            for number in range(1, count + 1):
                layer = nn.Conv2d(inside, times * width, 3, padding=1)
                self.add_module(f"conv{block}_{number}", layer)
                inside = times * width
        self.fc6 = nn.Linear(inside * (size // SMALLEST) ** 2, hidden)
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
    """Reads a file of weights, and the numbers of the network from their shapes.

    Args:
        path: A `.pt`, `.pth` or `.safetensors` file; no code in it is run.
        order: Which plane of an image it was trained to meet first.

    Returns:
        The network in evaluation mode, with no gradient asked of its weights.

    Raises:
        InvalidArgumentError: It cannot be read, or it is no such network.
    """
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
    """The numbers of the network that has these weights, told by three of them."""
    shapes = {}
    for name, axes in (("conv1_1.weight", 4), ("fc6.weight", 2), ("fc8.weight", 2)):
        if name not in weights:
            raise InvalidArgumentError(
                f"a VGG-16 with layers named conv1_1 to fc8 was wanted, but {name} is missing"
            )
        if weights[name].ndim != axes or not weights[name].numel():
            raise InvalidArgumentError(
                f"{name} needs {axes} axes, but has shape {list(weights[name].shape)}"
            )
        shapes[name] = weights[name].shape
    width, (hidden, taken) = shapes["conv1_1.weight"][0], shapes["fc6.weight"]
    side = isqrt(taken // (WIDENING[-1] * width))
    if not side or side**2 * WIDENING[-1] * width != taken:
        raise InvalidArgumentError(
            f"fc6.weight needs {WIDENING[-1] * width} inputs for each place of a square, since "
            f"conv1_1 has {width} filters, but takes {taken}"
        )
    classes = shapes["fc8.weight"][0]
    return {"classes": classes, "width": width, "hidden": hidden, "size": SMALLEST * side}
