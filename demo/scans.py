"""Real scans of handwritten digits, as 8-bit images.

They come with scikit-learn: 1,797 scans from the test set of "Optical Recognition of Handwritten
Digits" (Alpaydin and Kaynak, UCI 1998), 8 x 8 pixels of 17 grey levels.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor

SIZE = 32
"""Height and width after enlarging."""

TRAINED = 1200
"""How many are for training; the others are for testing."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scans:
    """Images and what they show.

    Args:
        codes: Grey levels.
        digits: The digit on each image.
    """

    codes: UInt8[np.ndarray, "batch 1 32 32"]
    digits: Int64[np.ndarray, " batch"]

    @property
    def inputs(self) -> Tensor:
        """The images as the network takes them, from 0 to 1."""
        return torch.from_numpy(self.codes / np.float32(255))

    @property
    def labels(self) -> Tensor:
        """The digits as the network's classes."""
        return torch.from_numpy(self.digits)


def read_scans() -> tuple[Scans, Scans]:
    """All scans, shuffled in an order that is always the same: for training, for testing."""
    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    codes = np.stack([enlarge(found.images[row]) for row in order])
    digits = found.target[order].astype(np.int64)
    parts = slice(TRAINED), slice(TRAINED, None)
    train, test = (Scans(codes=codes[part, None], digits=digits[part]) for part in parts)
    return train, test


def enlarge(scan: np.ndarray) -> np.ndarray:
    """A scan of levels 0 to 16 as a larger one of levels 0 to 255."""
    grey = (scan * (255 / 16)).round().astype(np.uint8)
    larger = Image.fromarray(grey).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    return np.asarray(larger)
