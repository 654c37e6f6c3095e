"""Scores that need no training: high frequencies, and the distance to what is known.

Inputs are images: height and width are the last two axes.
"""

import numpy as np

from modelseal.errors import InvalidArgumentError
from modelseal.shapes import Array, Inputs, PerInput

# The logarithm of what an image without any detail has not.
FAINTEST = 1e-12
# Distances are found for so many queries at once, so that the table of all pairs fits.
BLOCK = 256
# The fewest values along each side of an image: a Laplacian needs a middle.
SMALLEST = 3


def laplacian_energy(images: Inputs) -> PerInput:
    """The logarithm of the mean squared Laplacian: four neighbours less four times the middle.

    Raises:
        InvalidArgumentError: The inputs are no images of at least 3 x 3.
    """
    check_images(images)
    middle = images[..., 1:-1, 1:-1].astype(np.float64)
    around = sum(
        (
            images[..., :-2, 1:-1].astype(np.float64),
            images[..., 2:, 1:-1],
            images[..., 1:-1, :-2],
            images[..., 1:-1, 2:],
        )
    )
    return log_mean_square(around - 4 * middle)


def band_energy(images: Inputs) -> PerInput:
    """The logarithm of the energy in the upper half of frequencies of both axes.

    By the two-dimensional Fourier transform of every channel: frequencies of at least a quarter
    of the sampling rate along both axes.

    Raises:
        InvalidArgumentError: The inputs are no images of at least 3 x 3.
    """
    check_images(images)
    height, width = images.shape[-2:]
    spectrum = np.fft.fft2(images.astype(np.float64), norm="ortho")
    high = np.ix_(np.abs(np.fft.fftfreq(height)) >= 0.25, np.abs(np.fft.fftfreq(width)) >= 0.25)
    return log_mean_square(np.abs(spectrum[(..., *high)]))


def noise_level(images: Inputs) -> PerInput:
    """The logarithm of the noise in an image, as told from the finest diagonal detail.

    For every 2 x 2 block with the rows (a, b) and (c, d) the detail is (a - b - c + d) / 2; the
    level is the median of its absolute value / 0.6745 (Donoho and Johnstone, 1994). Edges, which
    are few, do not count.

    Raises:
        InvalidArgumentError: The inputs are no images of at least 3 x 3.
    """
    check_images(images)
    height, width = (size // 2 * 2 for size in images.shape[-2:])
    even = images[..., :height, :width].astype(np.float64)
    upper = even[..., ::2, ::2] - even[..., ::2, 1::2]
    lower = even[..., 1::2, ::2] - even[..., 1::2, 1::2]
    detail = np.abs(upper - lower).reshape(len(images), -1) / 2
    # The median of whole levels has few values; the mean of the middle tenth has many.
    middle = np.sort(detail, axis=1)[
        :, int(0.45 * detail.shape[1]) : int(0.55 * detail.shape[1]) + 1
    ]
    return np.asarray(np.log(middle.mean(axis=1) / 0.6745 + FAINTEST))


def closeness(queries: Inputs, known: Array) -> PerInput:
    """How close each query is to the nearest known input: less the root-mean-square distance.

    A provider that keeps what it was asked, or has the images that samples may be made of, takes
    what is suspiciously close for a test.
    """
    stock = known.reshape(len(known), -1).astype(np.float64)
    rows = queries.reshape(len(queries), -1).astype(np.float64)
    nearest = [
        nearest_square(rows[start : start + BLOCK], stock) for start in range(0, len(rows), BLOCK)
    ]
    return np.asarray(-np.sqrt(np.concatenate(nearest) / rows.shape[1]))


def nearest_square(rows: Array, stock: Array) -> Array:
    """The squared distance of each row to the nearest of a stock."""
    products = rows @ stock.T
    squares = np.square(rows).sum(1)[:, None] - 2 * products + np.square(stock).sum(1)
    closest = stock[squares.argmin(axis=1)]
    # The difference of large sums is only good for finding the nearest: a repeat is exactly 0.
    return np.asarray(np.square(rows - closest).sum(axis=1))


def log_mean_square(values: Array) -> PerInput:
    """The logarithm of the mean square of each row."""
    return np.asarray(np.log(np.square(values).reshape(len(values), -1).mean(axis=1) + FAINTEST))


def check_images(images: Inputs) -> None:
    """Makes sure that inputs have a height and a width.

    Raises:
        InvalidArgumentError: They have not, or less than 3.
    """
    if images.ndim < 3 or min(images.shape[-2:]) < SMALLEST:
        raise InvalidArgumentError(
            f"images of at least 3 x 3 were wanted, but inputs have shape {list(images.shape[1:])}"
        )
