"""Asking an endpoint whether it still serves the sealed model."""

from collections.abc import Callable
from enum import Enum

import numpy as np

from modelseal.endpoints.base import Endpoint
from modelseal.errors import EndpointError
from modelseal.fingerprint.record import Fingerprint
from modelseal.shapes import Array
from modelseal.verdict import Evidence, Finding, Verdict
from modelseal.verifying.concluding import NO_ANSWERS, conclude
from modelseal.verifying.examining import examine

__all__ = ["Depth", "ignore", "verify"]


class Depth(Enum):
    """How far to ask."""

    FIRST_PROOF = "until the first proof of tampering"
    ALL = "every sample"


def ignore(done: int, total: int) -> None:
    """Takes reports of progress and does nothing with them."""


def verify(
    fingerprint: Fingerprint,
    endpoint: Endpoint,
    *,
    generator: np.random.Generator,
    depth: Depth = Depth.FIRST_PROOF,
    progress: Callable[[int, int], None] = ignore,
    chosen: Array | None = None,
) -> Verdict:
    """Asks an endpoint the samples of a fingerprint, one at a time in random order.

    Args:
        fingerprint: The samples and their expected answers.
        endpoint: What to ask.
        generator: The source of the order.
        depth: Whether to stop at the first sample that differs, which is proof enough.
        progress: Told after each sample how many were asked and how many there are.
        chosen: The numbers of the samples to ask, each once; by default all. What a part of the
            samples rules out was never measured, so that the verdict does not say it.

    Returns:
        Intact only if every one of these was answered as expected; tampered if one was answered
        otherwise; undecided if an answer is missing or malformed and none differs. An endpoint
        that gives no answer several times in a row is asked no further.
    """
    evidence: list[Evidence] = []
    silent = 0
    numbers = np.arange(len(fingerprint)) if chosen is None else chosen
    for number in generator.permutation(numbers):
        answer = ask(endpoint, fingerprint, int(number))
        silent = silent + 1 if isinstance(answer, EndpointError) else 0
        evidence.append(examine(fingerprint, int(number), answer))
        progress(len(evidence), len(numbers))
        proven = evidence[-1].finding is Finding.DIFFERS and depth is Depth.FIRST_PROOF
        if proven or silent == NO_ANSWERS:
            break
    part = None if chosen is None else tuple(int(number) for number in chosen)
    return conclude(fingerprint, tuple(evidence), chosen=part)


def ask(endpoint: Endpoint, fingerprint: Fingerprint, number: int) -> object:
    """What came for one sample: an answer of whatever form, or the error that stands for none."""
    try:
        return endpoint.ask(fingerprint.samples[[number]])
    except EndpointError as error:
        return error
