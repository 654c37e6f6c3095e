"""Which few of many candidates to keep: maximum active-neuron cover (MANC) and its rivals.

A candidate's row of bits says which neurons fire for it. A good choice makes as many neurons fire
as possible, because only a change of a weight that leads to a firing neuron can show. Finding the
best choice is NP-hard; taking the candidate that adds most, again and again, covers at least
1 - 1/e of the best (Nemhauser, Wolsey and Fisher, 1978).

The rule knows nothing of neurons. Over a matrix of detections, whose row says which of many
changed networks a candidate notices, it chooses the samples that together notice most changes.
"""

from dataclasses import dataclass
from typing import TypeAlias, cast

import numpy as np
from jaxtyping import Int64, UInt8, UInt64

from modelseal.errors import InvalidArgumentError
from modelseal.types import PerInput

Bits: TypeAlias = UInt8[np.ndarray, "batch bytes"]
"""A row of bits for each candidate, as `numpy.packbits` makes them along the last axis."""

_OtherBits: TypeAlias = UInt8[np.ndarray, "batch others"]
"""Rows of bits of another length."""

_Words: TypeAlias = UInt64[np.ndarray, "batch words"]
"""The same bits, 64 to a number."""

_Word: TypeAlias = UInt64[np.ndarray, " words"]
"""One row of them."""

Counts: TypeAlias = Int64[np.ndarray, " batch"]
"""A number of bits for each candidate."""

# Rows are counted a quarter of a megabyte at a time: long enough that the time goes into
# counting, short enough for a processor's cache.
BLOCK_BYTES = 2**18


@dataclass(frozen=True, kw_only=True, slots=True)
class Picks:
    """What a cover chose.

    Args:
        order: The numbers of the chosen candidates, in the order of choice.
        gains: How many bits each of them added to those before it in its round.
        rounds: The round in which each was chosen, from 0; a new round starts with nothing
            covered when no candidate is left that would add anything.
    """

    order: tuple[int, ...]
    gains: tuple[int, ...]
    rounds: tuple[int, ...]

    @property
    def covered(self) -> int:
        """How many bits the choice covers: all that the first round added."""
        pairs = zip(self.gains, self.rounds, strict=True)
        return sum(gain for gain, number in pairs if number == 0)


def cover(active: Bits, count: int) -> Picks:
    """Chooses the candidates that together set most bits, best first.

    Each pick is the candidate that adds most bits to those already covered; of equals the one
    with the lowest number. When nothing that is left adds anything, the cover starts again from
    nothing on the candidates that are left, so that always `count` different ones come out and
    every beginning of the order is a good choice of its own length.

    What a candidate adds can only shrink while the cover grows. So an old count is an upper
    bound, and only candidates whose bound reaches the best exact count are counted again
    (Minoux, 1978), a block at a time.

    Examples:
        >>> rows = np.array([[1, 1, 0, 0], [0, 1, 1, 1], [1, 0, 0, 0]], dtype=bool)
        >>> cover(np.packbits(rows, axis=1), 2)
        Picks(order=(1, 0), gains=(3, 1), rounds=(0, 0))
    """
    _check_count(len(active), count)
    words = _as_words(active)
    sizes = _count_bits(words)
    bounds, missing = sizes.copy(), _all_ones(words)
    picks: list[tuple[int, int, int]] = []
    number = 0
    while len(picks) < count:
        pick, gain = _best_addition(words, missing, bounds)
        if gain == 0 and sizes[bounds >= 0].any():
            number, missing = number + 1, _all_ones(words)
            bounds = np.where(bounds < 0, bounds, sizes)
            pick, gain = _best_addition(words, missing, bounds)
        picks.append((pick, gain, number))
        missing &= ~words[pick]
        bounds[pick] = -1
    order, gains, rounds = zip(*picks, strict=True)
    return Picks(order=order, gains=gains, rounds=rounds)


def _best_addition(words: _Words, missing: _Word, bounds: Counts) -> tuple[int, int]:
    """The candidate that adds most of the missing bits, and how many; the lowest of equals.

    The bounds of what each candidate adds are negative for those already chosen; the ones that
    had to be counted again are replaced by the exact number.
    """
    queue = np.argsort(-bounds, kind="stable")
    rows = max(1, BLOCK_BYTES // max(1, words.shape[1] * words.itemsize))
    best = (-1, 0)  # what it adds and minus its number: the larger pair wins
    for start in range(0, len(queue), rows):
        first = int(queue[start])
        if bounds[first] < 0 or (int(bounds[first]), -first) < best:
            break
        block = queue[start : start + rows]
        block = block[bounds[block] >= 0]
        bounds[block] = _count_bits(words[block] & missing)
        top = bounds[block].max()
        best = max(best, (int(top), -int(block[bounds[block] == top].min())))
    return -best[1], best[0]


def cover_changes(
    noticed: Bits, active: _OtherBits, *, margins: PerInput, count: int
) -> tuple[int, ...]:
    """Chooses the candidates that together notice most changed copies, best first.

    Few copies can be made, so many candidates are equal: of these, the one that adds most firing
    neurons is taken, because it may notice what was not tried; of equals again the one with the
    smallest margin, and then the lowest number. When nothing that is left adds a copy, both covers
    start again from nothing, so that the next picks notice the same changes once more, and every
    beginning of the order is a good choice.

    Examples:
        >>> copies = np.packbits(np.array([[1, 0], [1, 0], [0, 1]], dtype=bool), axis=1)
        >>> neurons = np.packbits(np.array([[1, 0], [1, 1], [0, 0]], dtype=bool), axis=1)
        >>> cover_changes(copies, neurons, margins=np.array([0.1, 0.2, 0.3]), count=2)
        (1, 2)
    """
    _check_count(len(noticed), count)
    changes, neurons = _as_words(noticed), _as_words(active)
    unnoticed, silent = _all_ones(changes), _all_ones(neurons)
    left = np.ones(len(changes), dtype=bool)
    order: list[int] = []
    while len(order) < count:
        gains = np.where(left, _count_bits(changes & unnoticed), -1)
        if not gains.max() and changes[left].any():
            unnoticed, silent = _all_ones(changes), _all_ones(neurons)
            gains = np.where(left, _count_bits(changes), -1)
        # The last key counts most; what is still equal stays in the order of the numbers.
        pick = int(np.lexsort((margins, -_count_bits(neurons & silent), -gains))[0])
        unnoticed &= ~changes[pick]
        silent &= ~neurons[pick]
        left[pick] = False
        order.append(pick)
    return tuple(order)


def random_picks(candidates: int, count: int, generator: np.random.Generator) -> tuple[int, ...]:
    """Chooses among the numbers below `candidates` by chance, each at most once."""
    _check_count(candidates, count)
    return tuple(int(pick) for pick in generator.permutation(candidates)[:count])


def smallest_margin(margins: PerInput, count: int) -> tuple[int, ...]:
    """Chooses the candidates with the smallest margins, smallest first.

    Of equals the lowest number comes first, and a margin that is not a number comes last.

    Examples:
        >>> smallest_margin(np.array([0.3, 0.1, 0.2]), 2)
        (1, 2)
    """
    _check_count(len(margins), count)
    return tuple(int(pick) for pick in np.argsort(margins, kind="stable")[:count])


def _check_count(candidates: int, count: int) -> None:
    if not 1 <= count <= candidates:
        raise InvalidArgumentError(f"expected 1 to {candidates}, got {count}", field="count")


def _as_words(active: Bits) -> _Words:
    """Filled up with zeros; a view where that is possible."""
    spare = -active.shape[1] % 8
    if spare or not active.flags.c_contiguous:
        active = np.ascontiguousarray(np.pad(active, ((0, 0), (0, spare))))
    return cast(_Words, active.view(np.uint64))


def _count_bits(words: _Words) -> Counts:
    return cast(Counts, np.bitwise_count(words).sum(axis=1, dtype=np.int64))


def _all_ones(words: _Words) -> _Word:
    return np.full(words.shape[1], np.iinfo(np.uint64).max, dtype=np.uint64)
