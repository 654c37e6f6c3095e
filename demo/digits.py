"""The demo's network. Its file is copied beside every model.toml that names it."""

from torch import nn


def digits_cnn(width: int = 16) -> nn.Module:
    """A small untrained network for grey images of 32 x 32 pixels and ten classes.

    Args:
        width: Channels of the first convolution; the others have twice as many.
    """
    return nn.Sequential(
        *block(1, width),
        *block(width, 2 * width),
        *block(2 * width, 2 * width),
        nn.Flatten(),
        nn.Linear(2 * width * 4 * 4, 10),
    )


def block(channels: int, wider: int) -> tuple[nn.Module, ...]:
    """A convolution that halves height and width, with what follows it."""
    convolution = nn.Conv2d(channels, wider, 3, stride=2, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(wider), nn.ReLU()
