"""Asking natural images with known classes first, so that no sample is spent on a wrong mapping."""

from dataclasses import dataclass
from math import ceil
from typing import cast

import numpy as np

from modelseal.endpoints.endpoint import Endpoint
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.fingerprint.record import Fingerprint
from modelseal.outputs.answers import Answers
from modelseal.types import Array, Codes
from modelseal.verification.judge import usable
from modelseal.verification.policy import Manners
from modelseal.verification.querier import Asker


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Natural:
    """Natural images whose classes are known.

    Args:
        codes: The images, as `Domain.encode` stores them.
        labels: The class of each, from 0.
        at_least: The share that must be answered with its class: no network is always right.

    Raises:
        InvalidArgumentError: There are none, or not one class for each, or the share is not
            above 0 and at most 1.
    """

    codes: Codes
    labels: Array
    at_least: float = 0.5

    def __post_init__(self) -> None:
        if not len(self.codes) or len(self.labels) != len(self.codes):
            raise InvalidArgumentError(
                f"one label for each natural image was wanted, but {len(self.codes)} images and "
                f"{len(self.labels)} labels came"
            )
        if not 0 < self.at_least <= 1:
            raise InvalidArgumentError(
                f"at_least needs a share above 0 and up to 1, but is {self.at_least}"
            )


def rehearse(
    fingerprint: Fingerprint,
    endpoint: Endpoint,
    natural: Natural,
    *,
    generator: np.random.Generator,
    manners: Manners | None = None,
) -> None:
    """Makes sure that an endpoint's answers are read as they are meant.

    Each image is asked alone, as samples are, and no more once the share cannot be reached.

    Args:
        fingerprint: Whose samples shall be asked afterwards.
        endpoint: What to ask.
        natural: What is asked.
        generator: The source of waits.
        manners: At what pace, how often to ask again after faults that may pass, and for how long.

    Raises:
        EndpointError: An image got no usable answer, or too few got that of their class.
    """
    manners = manners or Manners()
    asker = Asker(endpoint, fingerprint, manners=manners, generator=generator)
    count = len(natural.codes)
    wanted, right = ceil(natural.at_least * count), 0
    for number in range(count):
        right += ask_class(asker, natural.codes, number) == natural.labels[number]
        if right + count - number - 1 < wanted:
            raise EndpointError(
                f"the mapping seems wrong: {right} of {number + 1} natural images were answered "
                f"with their known class, where {wanted} of {count} were wanted"
            )


def ask_class(asker: Asker, codes: Codes, number: int) -> int:
    """The class that an endpoint gives to one natural image.

    Raises:
        EndpointError: No usable answer came.
    """
    unasked = asker.take_turn(number)
    if unasked is not None:
        raise EndpointError(f"natural image {number} was not asked since {unasked.value}")
    try:
        answer = usable(asker.send(codes[[number]]), asker.fingerprint.classes)
        # Numbers close to the largest that there are may overflow when they are compared.
        with np.errstate(over="ignore"):
            return top(asker.fingerprint.spec.read(answer))
    except EndpointError as error:
        raise EndpointError(f"natural image {number} got no usable answer: {error}") from error


def top(answer: Answers) -> int:
    """The first label of an answer, or the class of its highest number."""
    if answer.labels is not None:
        return int(answer.labels[0, 0])
    return int(cast(Array, answer.values)[0].argmax())
