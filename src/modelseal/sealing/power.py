"""What a fingerprint can notice, measured on slightly changed copies of the sealed network."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from modelseal.enums import Power
from modelseal.errors import InvalidArgumentError, ModelsealError, SealingError
from modelseal.fingerprint.fingerprint import Fingerprint, Limit
from modelseal.models.loader import Model
from modelseal.runtime.devices import without_tf32
from modelseal.runtime.inference import copy_network, foreign_errors
from modelseal.sealing.candidates import digest_network, to_tensor
from modelseal.sealing.perturbations import Family, differs, draw_seed, list_families
from modelseal.tampering.base import Tampering
from modelseal.types import Codes, Progress, ignore

# Whether one sample at least answers otherwise once a change is made.
_Notices: TypeAlias = Callable[[Tampering], bool]

# The random numbers of the copies are others than those that samples are chosen by.
_STREAM = 0xF00D


@dataclass(frozen=True, kw_only=True, slots=True)
class Draws:
    """How many copies are made of each size: to find where to begin, and for the statement itself.

    If all of n draws are noticed, the share of all is 0.05^(1/n) or more at 95 % confidence: 86 %
    for 20, 95 % for 60, each size by itself.
    """

    scouts: int
    stated: int


DRAWS = {Power.FAST: Draws(scouts=5, stated=20), Power.FULL: Draws(scouts=15, stated=60)}


@without_tf32()
def state_power(
    model: Model,
    fingerprint: Fingerprint,
    naturals: Codes,
    *,
    power: Power = Power.FAST,
    progress: Progress = ignore,
) -> Fingerprint:
    """States the smallest change of each family that a fingerprint notices.

    Of a graded family, sizes are tried from the smallest on until all of a few scouts are noticed;
    then as many copies as are stated are made of that size, all with other random numbers, and of
    the next larger size if one is missed. Scouts make it unlikely that a size is stated for having
    been lucky once in many sizes. That larger changes are noticed as well is taken for granted, but
    for those without chance, of which all larger sizes are tried. Families that cannot be made of
    this network are left out.
    """
    if power is Power.NONE:
        return fingerprint
    if fingerprint.origin.weights_digest != digest_network(model.network):
        raise InvalidArgumentError(
            "expected one of this network, got one of other weights", field="fingerprint"
        )
    model.domain.check(naturals)
    if not len(naturals):
        raise InvalidArgumentError("expected 1 or more, got 0", field="images")
    seed, samples = fingerprint.origin.seed, to_tensor(model, fingerprint.samples)
    families = list_families(model, to_tensor(model, naturals), seed=seed)

    def notices(change: Tampering) -> bool:
        # The copy has no name here, so that it is gone before the next one is made.
        with foreign_errors():
            return bool(differs(change(model.network), samples, fingerprint).any())

    if notices(copy_network):
        raise SealingError("expected the same answers of an unchanged copy, got others")
    limits: list[Limit] = []
    for number, family in enumerate(families):
        progress("power", number, len(families))
        source = np.random.default_rng((_STREAM, seed, number))
        limits += _measure(family, notices, draws=DRAWS[power], source=source)
    progress("power", len(families), len(families))
    return replace(fingerprint, power=tuple(limits))


def _measure(
    family: Family, notices: _Notices, *, draws: Draws, source: np.random.Generator
) -> Iterator[Limit]:
    try:
        if family.fixed:
            level, noticed, tried = search_fixed(family, notices)
        else:
            level, noticed, tried = search_random(family, notices, draws=draws, source=source)
    except ModelsealError:
        return
    yield Limit(
        family=family.name,
        unit=family.unit,
        level=level if family.unit else None,
        noticed=noticed,
        draws=tried,
        fixed=family.fixed,
    )


def search_fixed(family: Family, notices: _Notices) -> tuple[float, int, int]:
    """The smallest size that is noticed as all larger ones are; the largest if it is not."""
    smallest = None
    for level in reversed(family.levels):
        if not notices(family.make(level, 0)):
            break
        smallest = level
    return (family.levels[-1], 0, 1) if smallest is None else (smallest, 1, 1)


def search_random(
    family: Family, notices: _Notices, *, draws: Draws, source: np.random.Generator
) -> tuple[float, int, int]:
    """The smallest size of which all draws are noticed, or the largest with its count."""

    def tries(level: float, count: int) -> Iterator[bool]:
        return (notices(family.make(level, draw_seed(source))) for _ in range(count))

    *graded, largest = family.levels
    # No luck is had with the first size that is tried: it needs no scouts.
    if graded and all(tries(graded[0], draws.stated)):
        return graded[0], draws.stated, draws.stated
    places = range(1, len(graded))
    start = next((at for at in places if all(tries(graded[at], draws.scouts))), len(graded))
    for level in graded[start:]:
        if all(tries(level, draws.stated)):
            return level, draws.stated, draws.stated
    return largest, sum(tries(largest, draws.stated)), draws.stated
