"""Choosing the samples that together notice most changes.

What is covered are changed copies of the network, each of which a candidate notices or not. Few
copies can be made, so many candidates are equal: of these, the one that adds most firing neurons
is taken, because it may notice what was not tried, and then the one with the smaller margin.
"""

from typing import TypeAlias

import numpy as np
from jaxtyping import UInt8

from modelseal.selection.cover import Bits, as_words, check_count, count_bits, fresh
from modelseal.types import PerInput

OtherBits: TypeAlias = UInt8[np.ndarray, "batch others"]
"""Rows of bits of another length."""


def cover_changes(
    noticed: Bits, active: OtherBits, *, margins: PerInput, count: int
) -> tuple[int, ...]:
    """Chooses the candidates that together notice most changed copies, best first.

    Each pick adds most copies to those already noticed; of equals, most neurons to those that
    fire already; of equals again it has the smallest margin, and then the lowest number. When
    nothing that is left adds a copy, both covers start again from nothing, so that the next
    picks notice the same changes once more, and every beginning of the order is a good choice.

    Args:
        noticed: A row of packed bits for each candidate: which copies it answers otherwise for.
        active: A row of packed bits for each candidate: which neurons fire for it.
        margins: One for each candidate.
        count: How many to choose.

    Raises:
        InvalidArgumentError: There are fewer candidates than `count`.

    Examples:
        >>> copies = np.packbits(np.array([[1, 0], [1, 0], [0, 1]], dtype=bool), axis=1)
        >>> neurons = np.packbits(np.array([[1, 0], [1, 1], [0, 0]], dtype=bool), axis=1)
        >>> cover_changes(copies, neurons, margins=np.array([0.1, 0.2, 0.3]), count=2)
        (1, 2)
    """
    check_count(len(noticed), count)
    changes, neurons = as_words(noticed), as_words(active)
    unnoticed, silent = fresh(changes), fresh(neurons)
    left = np.ones(len(changes), dtype=bool)
    order: list[int] = []
    while len(order) < count:
        gains = np.where(left, count_bits(changes & unnoticed), -1)
        if not gains.max() and changes[left].any():
            unnoticed, silent = fresh(changes), fresh(neurons)
            gains = np.where(left, count_bits(changes), -1)
        # The last key counts most; what is still equal stays in the order of the numbers.
        pick = int(np.lexsort((margins, -count_bits(neurons & silent), -gains))[0])
        unnoticed &= ~changes[pick]
        silent &= ~neurons[pick]
        left[pick] = False
        order.append(pick)
    return tuple(order)
