"""Choosing which of many answers to a sample is expected from now on."""

from dataclasses import dataclass, replace

import numpy as np

from modelseal.fingerprint.record import Fingerprint
from modelseal.outputs.answers import Answers
from modelseal.outputs.specs import OutputSpec
from modelseal.shapes import Array


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Chosen:
    """What becomes of one sample.

    Args:
        sample: Its number.
        answer: The answer that is expected of it from now on, as a batch of one.
        differing: How many answers were others.
        otherwise: Whether it is another one than that of the sealed network.
    """

    sample: int
    answer: Answers
    differing: int
    otherwise: bool


def choose(fingerprint: Fingerprint, number: int, shown: Answers) -> Chosen:
    """The answer to a sample that came most often: that of the sealed network if half agree."""
    sealed = fingerprint.expected.take(np.array([number]))
    differing = len(shown) - count_like(fingerprint.spec, sealed, shown)
    if 2 * differing < len(shown):
        return Chosen(sample=number, answer=sealed, differing=differing, otherwise=False)
    alike = [
        count_like(fingerprint.spec, shown.take(np.array([row])), shown)
        for row in range(len(shown))
    ]
    best = int(np.argmax(alike))
    # As a file holds it: with how many digits an answer came is said by every new one.
    plain = replace(shown.take(np.array([best])), digits=None)
    return Chosen(
        sample=number,
        answer=plain,
        differing=len(shown) - alike[best],
        otherwise=True,
    )


def count_like(spec: OutputSpec, answer: Answers, shown: Answers) -> int:
    """How many of the shown answers are the same as this one."""
    agree: Array = spec.agree(answer.take(np.zeros(len(shown), int)), shown)
    return int(agree.sum())
