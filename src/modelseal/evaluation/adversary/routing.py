"""What a provider gains that serves a changed network and answers some queries from a clean copy.

`noticed` says of every changed network (a row) which samples (columns) it answers otherwise. Sets
of samples are drawn from the columns without repeats; nothing is taken to be independent that was
measured together.
"""

from collections.abc import Callable, Sequence
from math import comb

import numpy as np

from modelseal.endpoints.endpoint import Endpoint
from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.curves import POWER
from modelseal.evaluation.responses import Noticed
from modelseal.fingerprint.record import Fingerprint
from modelseal.intervals import HALVINGS, Share, measure
from modelseal.outputs.answers import Answers
from modelseal.types import Array, Codes, Mask
from modelseal.verdict import Outcome
from modelseal.verification.verify import verify


def power_of_sharing(noticed: Noticed, share: float, count: int) -> float:
    """How often a set notices a network whose provider answers a share of all queries cleanly.

    Each query goes to the clean copy with probability q, whatever it is. A set misses a network
    if all J of its samples that notice it went to the clean copy: the power is 1 - E[q^J],
    averaged over networks.

    Args:
        noticed: What was measured.
        share: q, from 0 to 1.
        count: n, the samples in a set.

    Raises:
        InvalidArgumentError: The share is none, or there are not so many samples.
    """
    if not 0 <= share <= 1:
        raise InvalidArgumentError(f"a share from 0 to 1 was wanted, but {share:g} came")
    return power_of(count_noticing(noticed, count), share)


def power_of(chances: Array, share: float) -> float:
    """The power 1 - E[q^J] for a share q and the chances that J is 0, 1, 2 and so on."""
    return float(1 - (chances * share ** np.arange(len(chances))).sum())


def count_noticing(noticed: Noticed, count: int) -> Array:
    """How probable it is that 0, 1, ..., n samples of a set notice, averaged over networks.

    Of a network that k of S samples notice, a set of n holds J of these with the hypergeometric
    probability C(k, J) C(S - k, n - J) / C(S, n).

    Args:
        noticed: What was measured.
        count: n, the samples in a set.

    Raises:
        InvalidArgumentError: There are not so many samples, or no networks.
    """
    trials, samples = check(noticed, count)
    ways, chances = comb(samples, count), np.zeros(count + 1)
    numbers, networks = np.unique(noticed.sum(axis=1), return_counts=True)
    for noticing, weight in zip(numbers.tolist(), networks.tolist(), strict=True):
        for drawn in range(min(noticing, count) + 1):
            sets = comb(noticing, drawn) * comb(samples - noticing, count - drawn)
            chances[drawn] += weight / trials * (sets / ways)
    return chances


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


class SharingEndpoint:
    """Answers a share of all queries from the clean copy, by chance.

    Args:
        clean: The sealed network.
        changed: The one that is served otherwise.
        share: How probable it is that a query goes to the clean copy.
        generator: The source of chance.
    """

    def __init__(
        self,
        clean: Endpoint,
        changed: Endpoint,
        *,
        share: float,
        generator: np.random.Generator,
    ) -> None:
        self.clean = clean
        self.changed = changed
        self.share = share
        self.generator = generator

    def ask(self, codes: Codes) -> Answers:
        """Answers a batch from one of the two.

        Raises:
            EndpointError: That one gave no usable answer.
        """
        cleanly = self.generator.random() < self.share
        return (self.clean if cleanly else self.changed).ask(codes)


def simulate(
    fingerprint: Fingerprint,
    served: Sequence[Endpoint],
    *,
    count: int,
    runs: int,
    generator: np.random.Generator,
) -> Share:
    """How many verifications with sets of so many samples find an endpoint tampered with.

    Args:
        fingerprint: Holds the samples that sets are drawn from, without repeats.
        served: What is verified, one after the other.
        count: The samples in a set.
        runs: How many verifications in all.
        generator: The source of sets and orders.
    """
    caught = 0
    for run in range(runs):
        rows = generator.choice(len(fingerprint), size=count, replace=False)
        verdict = verify(fingerprint.take(rows), served[run % len(served)], generator=generator)
        caught += verdict.outcome is Outcome.TAMPERED
    return measure(caught, runs)
