"""Networks of the sizes that owners have, with weights that can be made anywhere.

Trained weights of these sizes cannot be had here. Random ones of deep networks give nearly the
same scores for all images, whatever the image. So they start from the data: every layer's output
is shifted and scaled to mean 0 and variance 1 over natural images, channel by channel (Krähenbühl
et al. 2016), after which scores depend on the image as those of a trained network do.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cifar import data_folder
from modelseal.domain import Domain
from modelseal.models.images import read_images
from modelseal.models.loader import Model
from modelseal.models.transforms import Normalised
from modelseal.research.vgg_face import VggFace, on_grey_levels
from modelseal.types import Codes

SIZE = 224


class Logits(nn.Module):
    """A network of transformers that gives its scores alone.

    Args:
        network: Gives an output whose `logits` are the scores.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        """The scores of a batch."""
        scores: Tensor = self.network(inputs).logits
        return scores


def photographs(size: int = SIZE) -> Codes:
    """The photographs of the shared data, at most 224 x 224.

    Raises:
        FileNotFoundError: The data is missing.
    """
    folder = data_folder()
    if folder is None or not (folder / "photos224").is_dir():
        raise FileNotFoundError("set MODELSEAL_DATA to a folder that holds photos224")
    whole = read_images(Path(folder / "photos224"), grey_levels(SIZE))[0]
    first = (SIZE - size) // 2
    return whole[:, :, first : first + size, first : first + size].copy()


def grey_levels(size: int) -> Domain:
    """Square images of grey levels 0 to 255."""
    return Domain(shape=(3, size, size), bounds=(0.0, 255.0), levels=256)


def vgg_face(
    *, width: int = 64, hidden: int = 4096, classes: int = 2622, size: int = SIZE
) -> Model:
    """A network of VGG-Face's shape; by default its 145 million weights."""
    torch.manual_seed(0)
    network = VggFace(width=width, hidden=hidden, classes=classes, size=size)
    return settle(on_grey_levels(network), size)


def vit(
    *,
    depth: int = 12,
    hidden: int = 384,
    classes: int = 1000,
    size: int = SIZE,
    attention: str = "sdpa",
) -> Model:
    """A vision transformer, by default of the size that is called small (22 million weights)."""
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    shape: Mapping[str, Any] = {
        "hidden_size": hidden,
        "num_hidden_layers": depth,
        "num_attention_heads": hidden // 64,
        "intermediate_size": 4 * hidden,
        "image_size": size,
        "num_labels": classes,
        "attn_implementation": attention,
    }
    network = Logits(ViTForImageClassification(ViTConfig(**shape)))
    return settle(Normalised(network, mean=(127.5,) * 3, std=(127.5,) * 3), size)


def settle(network: nn.Module, size: int) -> Model:
    """The network with every layer's output at mean 0 and variance 1 over the photographs."""
    network = network.eval().requires_grad_(requires_grad=False)
    layers = [each for each in network.modules() if isinstance(each, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(normalise) for layer in layers]
    domain = grey_levels(size)
    with torch.no_grad():
        # Few images at a time would do for the statistics, but all of them make them better.
        network(torch.from_numpy(domain.decode(photographs(size)[:IMAGES])))
    for hook in hooks:
        hook.remove()
    return Model(network=network, domain=domain, names=())


IMAGES = 24
"""How many photographs a layer's statistics are taken over: memory bounds them."""


def normalise(layer: nn.Module, inputs: tuple[Tensor, ...], outputs: Tensor) -> Tensor:
    """Changes a layer so that its outputs have mean 0 and variance 1 in each channel."""
    weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
    channels = 1 if isinstance(layer, nn.Conv2d) else outputs.ndim - 1
    others = [axis for axis in range(outputs.ndim) if axis != channels]
    mean, std = outputs.mean(others), outputs.std(others).clamp(min=1e-6)
    weight.div_(std.reshape(-1, *[1] * (weight.ndim - 1)))
    bias.sub_(mean).div_(std)
    shape = [-1 if axis == channels else 1 for axis in range(outputs.ndim)]
    return (outputs - mean.reshape(shape)) / std.reshape(shape)


NETWORKS: Mapping[str, Callable[[], Model]] = {"vgg_face": vgg_face, "vit": vit}
"""The large networks by name."""
