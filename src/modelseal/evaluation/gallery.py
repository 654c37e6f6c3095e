"""Some samples of an evaluation to look at, beside what they were made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modelseal.evaluation.plan import Subject
from modelseal.evaluation.results import SampleSet, arrays_file, read_arrays
from modelseal.types import Array

SHOWN = 4
"""How many samples of a method are shown."""

_THEMSELVES = ("natural", "misclassified")
"""The methods whose samples are natural images themselves."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Exhibit:
    """One sample and its natural image, if that is known, as (height, width) or with a 3 behind."""

    sample: Array
    natural: Array | None


def list_exhibits(
    folder: Path, sets: Sequence[SampleSet]
) -> Mapping[tuple[str, str], Mapping[str, tuple[Exhibit, ...]]]:
    """The first few samples of each method, by network and spec, then by method.

    Only samples on 256 levels that are images have anything to show.
    """
    shown: dict[tuple[str, str], dict[str, tuple[Exhibit, ...]]] = {}
    arrays = {each.subject: read_arrays(folder / arrays_file(each.subject)) for each in sets}
    for subject, found in arrays.items():
        if _is_picture(found["samples"]):
            place = shown.setdefault((subject.network, subject.spec), {})
            place[subject.method] = _choose(found, _list_naturals(subject.network, arrays))
    return shown


def _is_picture(samples: Array) -> bool:
    channels = samples.shape[1] if samples.ndim == 4 else 1
    return samples.dtype == np.uint8 and samples.ndim in {3, 4} and channels in {1, 3}


def _list_naturals(
    network: str, arrays: Mapping[Subject, Mapping[str, Array]]
) -> Mapping[int, Array]:
    """The natural images of a network that are samples themselves, by their numbers."""
    return {
        int(source): sample
        for subject, found in arrays.items()
        if subject.network == network and subject.method in _THEMSELVES
        for source, sample in zip(found["sources"], found["samples"], strict=True)
    }


def _choose(found: Mapping[str, Array], naturals: Mapping[int, Array]) -> tuple[Exhibit, ...]:
    """A few samples, those first whose natural images are known."""
    numbered = list(enumerate(map(int, found["sources"])))
    known = sorted(numbered, key=lambda pair: pair[1] not in naturals)
    return tuple(
        Exhibit(
            sample=_upright(found["samples"][row]),
            natural=_upright(naturals[source]) if source in naturals else None,
        )
        for row, source in known[:SHOWN]
    )


def _upright(image: Array) -> Array:
    """An image with its channels last, or without any if there is one."""
    if image.ndim == 2:
        return image
    return image[0] if len(image) == 1 else image.transpose(1, 2, 0)
