"""The mathematics of asking again and again: bounds, e-processes and alpha spending.

Let p be the probability that an answer to a sample is another one than the enrolled one. What is
computed here is exact for any number of questions, and for any way of choosing the next one by
the answers that came: looking early costs nothing.

Sources: A. Wald, "Sequential tests of statistical hypotheses", Ann. Math. Stat. 16 (1945), for
the likelihood ratio; J. Ville, "Étude critique de la notion de collectif" (1939), for the
inequality; V. Vovk and R. Wang, "E-values", Ann. Stat. 49 (2021), for averages of e-values;
A. Ramdas et al., "Game-theoretic statistics and safe anytime-valid inference", Stat. Sci. 38
(2023), for mixtures.
"""

from math import exp, log, pi
from sys import float_info
from typing import TypeAlias, cast

import numpy as np
from jaxtyping import Int

from modelseal.errors import InvalidArgumentError
from modelseal.intervals import upper_bound
from modelseal.types import Array, PerInput

Counts: TypeAlias = Int[np.ndarray, " batch"]
"""How often something happened with each sample."""

HALF = 0.5
"""Where the enrolled answer may no more be the most frequent one.

If any other answer is as frequent as the enrolled one, both come in at most half of all cases.
So p < 1/2 says that the enrolled answer is still the most frequent one, and a deployment whose
most frequent answer has become another one has p of at least 1/2.
"""

# What the alarm looks for: p = 1 - (1 - bound) * share for each of these shares of the agreeing
# answers that are left. 0 is a sample that is always answered otherwise, as by other weights
# served without noise; the others catch noise on top, and changes that show only now and then.
_LEFT = (0.75, 0.5, 0.25, 0.0625, 0.0)

# Of enrolled samples that differed d times in R, (d + 1/2) / (R + 1) is the usual estimate of p
# (Jeffreys); a second alternative, half way to 1/2, keeps noise from setting the test far back.
_TOWARDS_HALF = (0.0, 0.5)


def bound_all(differing: Counts, asked: int, *, risk: float, samples: int) -> PerInput:
    """Bounds on the p of every enrolled sample, all of which hold at once.

    Each takes a share of risk / (2 samples). The 2 is for choosing the enrolled answer by the
    same answers: with π the probability of each possible answer, a bound u ≤ 1/2 needs k of R
    answers to be the same one, where P(Bin(R, 1/2) ≥ k) is at most the share a. For π ≤ 1/2,
    P(Bin(R, π) ≥ k) is convex in π and 0 at 0, so it is at most 2πa; one answer at the most has
    π > 1/2, and fails with at most a. All together fail with at most 2a, as the π add up to 1.
    The samples that were dropped count as well: they were chosen by their answers, too. All of
    that needs "the same answer" to be an equivalence, which it is for labels and for rounded
    numbers. Raw scores are only compared with those of the sealed network, which nobody chose.
    """
    share = risk / (2 * samples)
    found = {int(count): upper_bound(int(count), asked, risk=share) for count in set(differing)}
    return np.array([found[int(count)] for count in differing])


def estimate(differing: Counts, asked: int) -> PerInput:
    """The estimate (differing + 1/2) / (asked + 1) of each p."""
    return cast(PerInput, (differing + 0.5) / (asked + 1))


def weigh_alarm(differing: Counts, agreeing: Counts, bounds: PerInput) -> PerInput:
    """The logarithm of an e-process against "p ≤ bound", for each sample.

    For each q above the bound u, the product of q / u for every answer that differs and of
    (1 - q) / (1 - u) for every one that agrees is a supermartingale for all p ≤ u: its factor has
    the expectation p q/u + (1 - p) (1 - q)/(1 - u), which grows with p and is 1 at p = u. It is
    averaged over q = 1 - (1 - u) s for the shares s in `_LEFT`.
    """
    others = 1 - np.multiply.outer(_LEFT, 1 - bounds)
    return mix(ratio(differing, agreeing, null=bounds, other=others))


def weigh_trust(differing: Counts, agreeing: Counts, estimates: PerInput) -> PerInput:
    """The logarithm of an e-process against "p ≥ 1/2", for each sample.

    As `weigh_alarm` the other way round: averaged over two q below 1/2, the estimate of p at
    enrollment and the middle between that and 1/2. Where it reaches 1/β, the enrolled answer is
    still the most frequent one; a sample that has another one passes with at most β.
    """
    others = np.stack([estimates + (HALF - estimates) * share for share in _TOWARDS_HALF])
    return mix(ratio(differing, agreeing, null=np.full_like(estimates, HALF), other=others))


def ratio(differing: Counts, agreeing: Counts, *, null: PerInput, other: Array) -> Array:
    """The logarithm of the likelihood ratio of each row of other probabilities to the null."""
    with np.errstate(divide="ignore"):
        more, less = np.log(other / null), np.log((1 - other) / (1 - null))
    # What never happened has no part in it, even where it would have been impossible.
    return cast(Array, times(differing, more) + times(agreeing, less))


def times(counts: Counts, logarithms: Array) -> Array:
    """Counts times logarithms, where nothing times minus infinity is nothing."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(counts > 0, counts * logarithms, 0.0))


def mix(logarithms: Array) -> Array:
    """The logarithm of the average over the first axis."""
    highest = logarithms.max(axis=0)
    safe = np.where(np.isfinite(highest), highest, 0.0)
    with np.errstate(divide="ignore"):
        return cast(Array, safe + np.log(np.exp(logarithms - safe).mean(axis=0)))


def average(logarithms: PerInput) -> float:
    """The logarithm of the average of e-values, which is an e-value of all of them together."""
    return float(mix(logarithms[:, None])[0])


def from_log(logarithm: float) -> float:
    """The number of this logarithm, or the largest that there is."""
    return exp(min(logarithm, log(float_info.max) - 1))


def spend_alpha(alpha: float, look: int) -> float:
    """The share of alpha that the look of this number may take: 6 / (π² k²) of it.

    Over all looks that there will ever be, the shares add up to one.

    Examples:
        >>> round(sum(spend_alpha(0.05, look) for look in range(1, 10_000)), 5)
        0.05
    """
    if look < 1:
        raise InvalidArgumentError(f"expected a look from 1, got {look}")
    return alpha * 6 / (pi * look) ** 2
