"""What a provider gains that serves a changed network and answers some queries from a clean copy.

`noticed` says of every changed network (a row) which samples (columns) it answers otherwise. Sets
of samples are drawn from the columns without repeats; nothing is taken to be independent that was
measured together.
"""

from collections.abc import Callable
from math import comb

from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.responses import Noticed
from modelseal.shapes import Mask

POWER = 0.95
"""The power that is to be kept."""

# Halving [0, 1] this often leaves nothing that a float64 could tell apart.
HALVINGS = 60


def power_of_sharing(noticed: Noticed, share: float, count: int) -> float:
    """How often a set notices a network whose provider answers a share of all queries cleanly.

    Each query goes to the clean copy with probability q, whatever it is. Of a network that k of S
    samples notice, a set of n holds J of these, a hypergeometric number, and misses it if all J
    went to the clean copy: the power is 1 - E[q^J] = 1 - Σ_j C(k, j) C(S - k, n - j) / C(S, n) q^j,
    averaged over networks.

    Args:
        noticed: What was measured.
        share: q, from 0 to 1.
        count: n, the samples in a set.

    Raises:
        InvalidArgumentError: The share is none, or there are not so many samples.
    """
    trials, samples = check(noticed, count)
    if not 0 <= share <= 1:
        raise InvalidArgumentError(f"a share from 0 to 1 was wanted, but {share:g} came")
    missed = {
        noticing: miss_all(noticing, samples, count, share)
        for noticing in set(noticed.sum(axis=1).tolist())
    }
    return 1 - sum(missed[noticing] for noticing in noticed.sum(axis=1).tolist()) / trials


def miss_all(noticing: int, samples: int, count: int, share: float) -> float:
    """How probable it is that all noticing samples of a set are answered cleanly."""
    ways = comb(samples, count)
    return sum(
        comb(noticing, drawn) * comb(samples - noticing, count - drawn) / ways * share**drawn
        for drawn in range(min(noticing, count) + 1)
    )


def power_of_routing(noticed: Noticed, suspected: Mask, count: int) -> float:
    """How often a set notices a network whose provider answers suspicious queries cleanly.

    A suspected sample notices nothing any more: with k of S samples that notice a network and are
    not suspected, the power is 1 - C(S - k, n) / C(S, n), averaged over networks.

    Args:
        noticed: What was measured.
        suspected: Which samples the provider's detector takes for samples.
        count: n, the samples in a set.

    Raises:
        InvalidArgumentError: There are not so many samples, or not one answer for each.
    """
    if suspected.shape != noticed.shape[1:]:
        raise InvalidArgumentError(
            f"{noticed.shape[1]} answers of a detector were wanted, but {len(suspected)} came"
        )
    return power_of_sharing(noticed & ~suspected, 0.0, count)


def power_if_independent(detection: float, answered_cleanly: float, count: int) -> float:
    """The same by the textbook: 1 - (1 - d (1 - t))^n.

    It takes samples to notice independently of each other and of being found.

    Args:
        detection: d, how often one sample notices.
        answered_cleanly: t, how often one sample is answered from the clean copy.
        count: n, the samples in a set.
    """
    return float(1 - (1 - detection * (1 - answered_cleanly)) ** count)


def breaking_share(power: Callable[[float], float], *, wanted: float = POWER) -> float:
    """The largest share of queries, answered cleanly, at which the power is still as wanted.

    Args:
        power: By share, and never rising.
        wanted: The power.

    Returns:
        The share, found by halving; 0 if the power is too small from the beginning.
    """
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if power(middle) >= wanted:
            low = middle
        else:
            high = middle
    return low


def check(noticed: Noticed, count: int) -> tuple[int, int]:
    """How many networks and samples there are.

    Raises:
        InvalidArgumentError: There are none, or fewer samples than a set has.
    """
    trials, samples = noticed.shape
    if not trials or not 1 <= count <= samples:
        raise InvalidArgumentError(
            f"sets of {count} need as many samples and a network, but there are {samples} "
            f"samples and {trials} networks"
        )
    return trials, samples
