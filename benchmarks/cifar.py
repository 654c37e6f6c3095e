"""Real images and real trained networks: CIFAR-10 and two residual networks.

They are no part of the project. The folder is the one that `MODELSEAL_DATA` names, or
`shared/data` beside the repository; without it there is nothing to measure on.
"""

import io
import os
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from modelseal.domain import Domain
from modelseal.models.loader import Model, put_weights, read_weights
from modelseal.models.transforms import Normalised
from modelseal.research.cifar_resnet import cifar_resnet

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DOMAIN = Domain(shape=(3, 32, 32), bounds=(0.0, 1.0), levels=256)
MODEL = """
[model]
factory = "modelseal.research.cifar_resnet:cifar_resnet"
weights = "{weights}"
arguments = {{ depth = {depth} }}
[input]
shape = [3, 32, 32]
bounds = [0, 1]
levels = 256
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
"""
FILES = ("cifar10_train.npz", "cifar10_test.npz", "cifar10_resnet20.safetensors")


def data_folder() -> Path | None:
    """The folder with the data; None if there is none."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("MODELSEAL_DATA") or beside)
    return folder if all((folder / file).is_file() for file in FILES) else None


def images(
    part: Literal["train", "test"], count: int
) -> tuple[UInt8[np.ndarray, "batch 3 32 32"], Int64[np.ndarray, " batch"]]:
    """The first images of a part, which is shuffled, and their classes.

    Raises:
        FileNotFoundError: The data is missing, or has fewer images.
    """
    pixels, labels = _images(part, count)
    return pixels.copy(), labels.copy()


def resnet(depth: Literal[20, 32]) -> Model:
    """A trained network.

    Raises:
        FileNotFoundError: The data is missing.
    """
    network = cifar_resnet(depth)
    put_weights(network, read_weights(weights_file(depth)))
    whole = Normalised(network, mean=MEAN, std=STD).eval().requires_grad_(requires_grad=False)
    return Model(network=whole, domain=DOMAIN, names=classes())


def declare(depth: Literal[20, 32]) -> str:
    """The model.toml of a trained network.

    Raises:
        FileNotFoundError: The data is missing.
    """
    return MODEL.format(weights=weights_file(depth), depth=depth)


def weights_file(depth: Literal[20, 32]) -> Path:
    """The file with the weights of a trained network.

    Raises:
        FileNotFoundError: The data is missing.
    """
    return _folder() / f"cifar10_resnet{depth}.safetensors"


def classes() -> tuple[str, ...]:
    """The names of the ten classes.

    Raises:
        FileNotFoundError: The data is missing.
    """
    with np.load(_folder() / "cifar10_test.npz", allow_pickle=False) as arrays:
        return tuple(str(name) for name in arrays["classes"])


@cache
def _images(
    part: Literal["train", "test"], count: int
) -> tuple[UInt8[np.ndarray, "batch 3 32 32"], Int64[np.ndarray, " batch"]]:
    with np.load(_folder() / f"cifar10_{part}.npz", allow_pickle=False) as arrays:
        jpeg, offsets = arrays["jpeg"].tobytes(), arrays["offsets"]
        labels = arrays["labels"][:count].astype(np.int64)
    if len(labels) < count:
        raise FileNotFoundError(f"{part} has {len(labels)} images, not {count}")
    pixels = [_decode(jpeg[offsets[row] : offsets[row + 1]]) for row in range(count)]
    return np.stack(pixels), labels


def _decode(content: bytes) -> UInt8[np.ndarray, "3 32 32"]:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"), dtype=np.uint8).transpose(2, 0, 1)


def _folder() -> Path:
    folder = data_folder()
    if folder is None:
        raise FileNotFoundError(f"set MODELSEAL_DATA to a folder that holds {', '.join(FILES)}")
    return folder
