"""Chooses samples of many bags of candidates, and counts how often that notices the trojan.

The published code takes the first hundred of its shuffled candidates in each of a thousand
trials. With a hundred candidates or fewer that is one and the same bag a thousand times, and one
and the same choice. Here a bag is always a proper part of the candidates.
"""

from dataclasses import dataclass

import numpy as np

from modelseal.selection.cover import Bits, cover
from modelseal.shapes import Mask


@dataclass(frozen=True, kw_only=True, slots=True)
class Success:
    """How often a choice of samples noticed the trojan.

    Args:
        bag: How many candidates were in a bag.
        trials: How many bags were drawn.
        distinct: How many different choices the cover made.
        manc: The share of bags in which one of the first n choices of the cover is answered
            otherwise, for n from 1.
        random: The same for n samples by chance out of the same bags.
    """

    bag: int
    trials: int
    distinct: int
    manc: tuple[float, ...]
    random: tuple[float, ...]


def size_bag(candidates: int, wanted: int) -> int:
    """How many candidates are in a bag: half of all where there are no more than were wanted.

    Examples:
        >>> size_bag(300, 100), size_bag(100, 100), size_bag(7, 100), size_bag(1, 100)
        (100, 50, 4, 1)
    """
    return wanted if candidates > wanted else (candidates + 1) // 2


def count_success(
    active: Bits, noticed: Mask, *, samples: int, bag: int, trials: int, seed: int
) -> Success | None:
    """Draws bags of candidates and chooses of each.

    Args:
        active: A row of packed bits for each candidate: which neurons fire for it.
        noticed: Whether each candidate is answered otherwise by the changed network.
        samples: How many are chosen of a bag; all of it if it has fewer.
        bag: How many candidates are in a bag, if there are more.
        trials: How many bags are drawn.
        seed: Of what is drawn.

    Returns:
        What was counted; None without candidates.
    """
    if not len(noticed):
        return None
    source = np.random.default_rng(seed)
    bag = size_bag(len(noticed), bag)
    samples = min(samples, bag)
    manc, random = np.zeros(samples), np.zeros(samples)
    choices: set[frozenset[int]] = set()
    for _ in range(trials):
        rows = source.permutation(len(noticed))[:bag]
        chosen = rows[list(cover(active[rows], samples).order)]
        manc += np.logical_or.accumulate(noticed[chosen])
        # The rows came in random order: the first of them are a random choice.
        random += np.logical_or.accumulate(noticed[rows[:samples]])
        choices.add(frozenset(chosen.tolist()))
    return Success(
        bag=bag,
        trials=trials,
        distinct=len(choices),
        manc=tuple((manc / trials).tolist()),
        random=tuple((random / trials).tolist()),
    )
