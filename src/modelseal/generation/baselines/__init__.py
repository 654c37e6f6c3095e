"""The methods of others, to compare with."""

from math import isfinite

import torch
from torch import Generator

from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError
from modelseal.generation.gaps import Inputs


def uniform_noise(domain: Domain, *, count: int, generator: Generator) -> Inputs:
    """So many inputs, 1 or more, drawn evenly from between the bounds; not on the levels."""
    check_at_least(1, count=count)
    shares = torch.rand(
        count, *domain.shape, generator=generator, device=generator.device, dtype=torch.float32
    )
    return domain.clamp(shares * domain.span + domain.bounds[0])


def check_at_least(least: int, **numbers: float | int) -> None:
    """Refuses numbers, each by the name of its field, that are not finite or below the least."""
    for field, number in numbers.items():
        if not (isfinite(number) and number >= least):
            raise InvalidArgumentError(f"expected {least} or more, got {number}", field=field)


def check_positive(**numbers: float | int) -> None:
    """Refuses numbers, each by the name of its field, that are not finite or not above 0."""
    for field, number in numbers.items():
        if not (isfinite(number) and number > 0):
            raise InvalidArgumentError(f"expected a number above 0, got {number}", field=field)
