"""Cover: natural inputs that are asked among the samples, so that these do not come alone.

A question is a number: that of a sample, or from the number of samples on that of a piece of
cover. Answers to cover are not judged; that none comes counts as silence, as for a sample.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.record import Fingerprint
from modelseal.types import Array, Codes, Mask

Cover: TypeAlias = Sequence[Array]
"""Batches of one natural input each, as they are stored."""

APART = 0.1
"""Root-mean-square distance, in shares of the span, from which on an input is another image.

Samples keep within 0.03 of their natural input as a rule (PSNR above 30 dB), and two natural
images are seldom closer than this. Whoever sent both would show which of them was made of which.
"""


def draw_cover(
    naturals: Codes, fingerprint: Fingerprint, *, count: int, generator: np.random.Generator
) -> Cover:
    """Draws natural inputs for cover, none of them twice and none close to a sample.

    Args:
        naturals: Natural inputs as they are stored.
        fingerprint: Whose samples shall be covered.
        count: How many are drawn, from 0.
        generator: The source of the choice.

    Raises:
        InvalidArgumentError: The inputs do not fit the domain, or too few are left.
    """
    fingerprint.domain.check(naturals)
    fitting = np.flatnonzero(are_apart(naturals, fingerprint))
    if not 0 <= count <= len(fitting):
        raise InvalidArgumentError(
            f"{count} natural inputs unlike the samples were wanted for cover, but there are "
            f"{len(fitting)} of {len(naturals)}"
        )
    drawn = generator.choice(fitting, size=count, replace=False) if count else ()
    return tuple(naturals[[row]] for row in drawn)


def are_apart(naturals: Codes, fingerprint: Fingerprint) -> Mask:
    """Which natural inputs are so far from every sample that none was made of them."""
    domain, wide = fingerprint.domain, (len(naturals), -1)
    values = domain.decode(naturals).reshape(wide).astype(np.float64)
    apart = np.ones(len(naturals), dtype=bool)
    # One sample at a time: all pairs of large images do not fit into memory.
    for row in range(len(fingerprint)):
        sample = domain.decode(fingerprint.samples[[row]]).reshape(-1)
        distances = np.sqrt(np.square(values - sample).mean(axis=1))
        apart &= distances >= APART * domain.span
    return apart


def mix(
    numbers: Sequence[int], fingerprint: Fingerprint, cover: Cover, generator: np.random.Generator
) -> list[int]:
    """The questions for some samples in their order, with all cover at random places among them.

    Every way to choose the places is equally likely. Without samples there is nothing to cover.
    """
    if not cover or not numbers:
        return list(numbers)
    total, first = len(numbers) + len(cover), len(fingerprint)
    places = generator.choice(total, size=len(cover), replace=False)
    covered = dict(zip(places.tolist(), range(first, first + len(cover)), strict=True))
    samples = iter(numbers)
    return [covered[place] if place in covered else next(samples) for place in range(total)]


def is_cover(number: int, fingerprint: Fingerprint) -> bool:
    """Whether a question is cover."""
    return number >= len(fingerprint)


def take_question(number: int, fingerprint: Fingerprint, cover: Cover) -> Array:
    """What is sent for a question: a batch of one, which the endpoint may keep and spoil."""
    if is_cover(number, fingerprint):
        return cover[number - len(fingerprint)].copy()
    return fingerprint.samples[[number]]
