"""Which few of many candidates to keep: maximum active-neuron cover (MANC) and its rivals.

A candidate's row of bits says which neurons fire for it. A good choice makes as many neurons fire
as possible, because only a change of a weight that leads to a firing neuron can show. Finding the
best choice is NP-hard; taking the candidate that adds most, again and again, covers at least
1 - 1/e of the best (Nemhauser, Wolsey and Fisher, 1978).

The rule knows nothing of neurons. Over a matrix of detections, whose row says which of many
changed networks a candidate notices, the same `cover` chooses the samples that together notice
most changes.
"""

from dataclasses import dataclass
from typing import TypeAlias, cast

import numpy as np
from jaxtyping import Int64, UInt8, UInt64

from modelseal.errors import InvalidArgumentError
from modelseal.types import PerInput

Bits: TypeAlias = UInt8[np.ndarray, "batch bytes"]
"""A row of bits for each candidate, as `numpy.packbits` makes them along the last axis."""

Words: TypeAlias = UInt64[np.ndarray, "batch words"]
"""The same bits, 64 to a number."""

Word: TypeAlias = UInt64[np.ndarray, " words"]
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

    def __len__(self) -> int:
        return len(self.order)

    @property
    def covered(self) -> int:
        """How many bits the choice covers: all that the first round added."""
        return sum(
            gain for gain, number in zip(self.gains, self.rounds, strict=True) if number == 0
        )


def cover(active: Bits, count: int) -> Picks:
    """Chooses the candidates that together set most bits, best first.

    Each pick is the candidate that adds most bits to those already covered; of equals the one
    with the lowest number. When nothing that is left adds anything, the cover starts again from
    nothing on the candidates that are left, so that always `count` different ones come out and
    every beginning of the order is a good choice of its own length.

    What a candidate adds can only shrink while the cover grows. So an old count is an upper
    bound, and only candidates whose bound reaches the best exact count are counted again
    (Minoux, 1978), a block at a time.

    Args:
        active: A row of packed bits for each candidate.
        count: How many to choose.

    Raises:
        InvalidArgumentError: There are fewer candidates than `count`.

    Examples:
        >>> rows = np.array([[1, 1, 0, 0], [0, 1, 1, 1], [1, 0, 0, 0]], dtype=bool)
        >>> cover(np.packbits(rows, axis=1), 2)
        Picks(order=(1, 0), gains=(3, 1), rounds=(0, 0))
    """
    check_count(len(active), count)
    words = as_words(active)
    sizes = count_bits(words)
    bounds, missing = sizes.copy(), fresh(words)
    picks: list[tuple[int, int, int]] = []
    number = 0
    while len(picks) < count:
        pick, gain = best_addition(words, missing, bounds)
        if gain == 0 and sizes[bounds >= 0].any():
            number, missing = number + 1, fresh(words)
            bounds = np.where(bounds < 0, bounds, sizes)
            pick, gain = best_addition(words, missing, bounds)
        picks.append((pick, gain, number))
        missing &= ~words[pick]
        bounds[pick] = -1
    order, gains, rounds = zip(*picks, strict=True)
    return Picks(order=order, gains=gains, rounds=rounds)


def best_addition(words: Words, missing: Word, bounds: Counts) -> tuple[int, int]:
    """The candidate that adds most bits, and how many; the lowest number of equals.

    Args:
        words: The bits of each candidate.
        missing: The bits that are not covered yet.
        bounds: Upper bounds of what each candidate adds, negative for those already chosen;
            the ones that had to be counted again are replaced by the exact number.
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
        bounds[block] = count_bits(words[block] & missing)
        top = bounds[block].max()
        best = max(best, (int(top), -int(block[bounds[block] == top].min())))
    return -best[1], best[0]


def random_picks(candidates: int, count: int, generator: np.random.Generator) -> tuple[int, ...]:
    """Chooses among the numbers below `candidates` by chance, each at most once.

    Raises:
        InvalidArgumentError: There are fewer candidates than `count`.
    """
    check_count(candidates, count)
    return tuple(int(pick) for pick in generator.permutation(candidates)[:count])


def smallest_margin(margins: PerInput, count: int) -> tuple[int, ...]:
    """Chooses the candidates with the smallest margins, smallest first.

    Args:
        margins: One for each candidate; of equals the lowest number comes first, and one that
            is not a number comes last.
        count: How many to choose.

    Raises:
        InvalidArgumentError: There are fewer candidates than `count`.

    Examples:
        >>> smallest_margin(np.array([0.3, 0.1, 0.2]), 2)
        (1, 2)
    """
    check_count(len(margins), count)
    return tuple(int(pick) for pick in np.argsort(margins, kind="stable")[:count])


def check_count(candidates: int, count: int) -> None:
    """Makes sure that so many candidates can be chosen.

    Raises:
        InvalidArgumentError: The count is not positive, or there are too few candidates.
    """
    if not 1 <= count <= candidates:
        raise InvalidArgumentError(
            f"a choice of 1 to {candidates} among {candidates} candidates is possible, "
            f"but {count} were wanted"
        )


def as_words(active: Bits) -> Words:
    """The same bits as 64-bit numbers, filled up with zeros; a view where that is possible."""
    spare = -active.shape[1] % 8
    if spare or not active.flags.c_contiguous:
        active = np.ascontiguousarray(np.pad(active, ((0, 0), (0, spare))))
    return cast(Words, active.view(np.uint64))


def count_bits(words: Words) -> Counts:
    """How many bits each row sets."""
    return cast(Counts, np.bitwise_count(words).sum(axis=1, dtype=np.int64))


def fresh(words: Words) -> Word:
    """A row with every bit still missing."""
    return np.full(words.shape[1], np.iinfo(np.uint64).max, dtype=np.uint64)
