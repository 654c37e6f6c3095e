"""How close a sample is to the natural input that it was made from."""

import torch

from modelseal.errors import InvalidArgumentError
from modelseal.generation.gaps import Inputs, PerInput


def measure_psnr(samples: Inputs, naturals: Inputs, *, span: float) -> PerInput:
    """Peak signal-to-noise ratio in dB: 10 log10(span² / mean (x - x0)²), of x made from x0.

    `span` is the distance between the domain's bounds. It is infinite where nothing was changed.
    """
    return 10 * torch.log10(span**2 / _mean_square(samples - naturals))


def measure_snr(samples: Inputs, naturals: Inputs) -> PerInput:
    """Signal-to-noise ratio in dB: 10 log10(mean x0² / mean (x - x0)²).

    The published code of He et al. (CVPR 2019) measures it on inputs after its mean was
    subtracted; what is given here is used as it is.
    """
    return 10 * torch.log10(_mean_square(naturals) / _mean_square(samples - naturals))


def total_variation(inputs: Inputs) -> PerInput:
    """Mean squared difference of vertical neighbours, plus that of horizontal ones, of images."""
    if inputs.dim() != 4 or min(inputs.shape[2:]) < 2:
        raise InvalidArgumentError(
            "expected images (batch, channels, height, width) of at least 2 x 2 pixels for the "
            f"total variation, got shape {tuple(inputs.shape)}"
        )
    return _mean_square(inputs.diff(dim=2)) + _mean_square(inputs.diff(dim=3))


def _mean_square(numbers: Inputs) -> PerInput:
    return numbers.square().flatten(1).mean(1)
