"""How close a sample is to the natural input that it was made from."""

import torch

from modelseal.errors import InvalidArgumentError
from modelseal.runtime.tensors import Inputs, PerInput


def measure_psnr(samples: Inputs, naturals: Inputs, *, span: float) -> PerInput:
    """Peak signal-to-noise ratio in dB: 10 log10(span² / mean (x - x0)²).

    Args:
        samples: The changed inputs x.
        naturals: The natural inputs x0.
        span: The distance between the domain's bounds.

    Returns:
        One value for each input; infinite where nothing was changed.
    """
    return 10 * torch.log10(span**2 / (samples - naturals).square().flatten(1).mean(1))


def measure_snr(samples: Inputs, naturals: Inputs) -> PerInput:
    """Signal-to-noise ratio in dB: 10 log10(mean x0² / mean (x - x0)²).

    The published code of He et al. (CVPR 2019) measures it on inputs after its mean was
    subtracted; what is given here is used as it is.
    """
    noise = (samples - naturals).square().flatten(1).mean(1)
    return 10 * torch.log10(naturals.square().flatten(1).mean(1) / noise)


def total_variation(inputs: Inputs) -> PerInput:
    """Mean squared difference of vertical neighbours, plus that of horizontal ones.

    Args:
        inputs: Images (batch, channels, height, width) of at least 2 x 2 pixels.

    Raises:
        InvalidArgumentError: The inputs are no images of that size.
    """
    if inputs.dim() != 4 or min(inputs.shape[2:]) < 2:
        raise InvalidArgumentError(
            "total variation needs images (batch, channels, height, width) of at least 2 x 2 "
            f"pixels, but got shape {tuple(inputs.shape)}"
        )
    vertical = inputs.diff(dim=2).square().flatten(1).mean(1)
    return vertical + inputs.diff(dim=3).square().flatten(1).mean(1)
