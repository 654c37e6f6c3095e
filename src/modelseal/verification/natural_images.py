"""Natural images: asked first, so that no sample is spent on a wrong mapping, or as decoys."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np

from modelseal.endpoints.endpoint_toml import CheckSection, is_endpoint_toml, read_endpoint_toml
from modelseal.endpoints.responses import LabelFormat, number_of
from modelseal.errors import BadFileError, EndpointError, InvalidArgumentError
from modelseal.fingerprint.fingerprint import Fingerprint
from modelseal.models.images import BROKEN_ARRAYS, read_images
from modelseal.outputs.answers import Answers
from modelseal.settings import read_lines
from modelseal.types import Array, Codes, Mask
from modelseal.verification.judge import read_answer
from modelseal.verification.querier import Querier


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Naturals:
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
                f"expected one label for each of {len(self.codes)} natural images, got "
                f"{len(self.labels)}",
                field="labels",
            )
        if not 0 < self.at_least <= 1:
            raise InvalidArgumentError(
                f"expected a share above 0 and up to 1, got {self.at_least}", field="at_least"
            )


def check_mapping(querier: Querier, naturals: Naturals) -> None:
    """Makes sure that an endpoint's answers are read as they are meant.

    Each image is asked alone, as samples are, and no more once the share cannot be reached.
    """
    count = len(naturals.codes)
    wanted, right = ceil(naturals.at_least * count), 0
    for number in range(count):
        right += _ask_class(querier, naturals.codes, number) == naturals.labels[number]
        if right + count - number - 1 < wanted:
            raise EndpointError(
                f"expected {wanted} of {count} natural images to get their known class, got "
                f"{right} of {number + 1}: the mapping seems wrong"
            )


def _ask_class(querier: Querier, codes: Codes, number: int) -> int:
    unasked = querier.take_turn(number)
    if unasked is not None:
        raise EndpointError(f"natural image {number} was not asked since {unasked.value}")
    try:
        return _top_class(read_answer(querier.fingerprint, querier.send(codes[[number]])))
    except EndpointError as error:
        raise EndpointError(f"natural image {number} got no usable answer: {error}") from error


def _top_class(answer: Answers) -> int:
    if answer.labels is not None:
        return int(answer.labels[0, 0])
    return int(cast(Array, answer.values)[0].argmax())


def find_naturals(endpoint: str, fingerprint: Fingerprint, *, file: Path | None) -> Naturals | None:
    """The natural images that are asked first; None if nobody names any."""
    if file is not None:
        return _read_naturals(CheckSection(images=file.name), file.parent, fingerprint)
    path = Path(endpoint)
    if path.suffix.lower() != ".toml" or not is_endpoint_toml(path):
        return None
    declaration = read_endpoint_toml(path)
    if declaration.check is None:
        return None
    answer = declaration.answer
    names = read_lines(path.parent / answer.names_file) if answer.names_file else answer.names
    return _read_naturals(declaration.check, path.parent, fingerprint, names=tuple(names))


def _read_naturals(
    section: CheckSection, folder: Path, fingerprint: Fingerprint, *, names: tuple[str, ...] = ()
) -> Naturals:
    """Images and labels, evenly from first to last; names are by default the fingerprint's."""
    images = folder / section.images
    codes, _ = read_images(images, fingerprint.domain)
    names = names or fingerprint.names
    labels = _find_labels(section, folder, names=names)
    if len(labels) != len(codes):
        raise BadFileError(
            images, f"expected {len(codes)} labels, one for each image, got {len(labels)}"
        )
    rows = np.linspace(0, len(codes) - 1, min(section.count, len(codes))).round().astype(int)
    try:
        formats = LabelFormat(classes=fingerprint.classes, names=names)
        known = np.array([formats.index(labels[row]) for row in rows])
    except (EndpointError, InvalidArgumentError) as error:
        raise BadFileError(images, str(error), field="labels") from error
    return Naturals(codes=codes[rows], labels=known, at_least=section.at_least)


def _find_labels(
    section: CheckSection, folder: Path, *, names: tuple[str, ...]
) -> Sequence[object]:
    """The labels that are listed, or those of a file, or those beside the images."""
    if section.labels:
        return section.labels
    if section.labels_file is not None:
        lines = read_lines(folder / section.labels_file)
        # A line is a name if there is such a class, and a number else.
        numbers = {line: number_of(line) for line in lines if line not in names}
        return [line if numbers.get(line) is None else numbers[line] for line in lines]
    images = folder / section.images
    if images.is_dir():
        raise BadFileError(images, "expected labels beside a folder, got none")
    try:
        with np.load(images, allow_pickle=False) as arrays:
            found = arrays.get("labels")
    except BROKEN_ARRAYS as error:
        raise BadFileError(images, f"cannot be read as arrays: {error}") from error
    if not isinstance(found, np.ndarray) or found.ndim != 1 or found.dtype.kind not in "iuU":
        raise BadFileError(images, "expected an array named labels of whole numbers or names")
    labels: list[object] = found.tolist()
    return labels


Decoys: TypeAlias = Codes | tuple[Path, int]
"""Natural inputs as they are stored, or where images are and how many of them are drawn."""

APART = 0.1
"""Root-mean-square distance, in shares of the span, from which on an input is another image.

Samples keep within 0.03 of their natural input as a rule (PSNR above 30 dB), and two natural
images are seldom closer than this. Whoever sent both would show which of them was made of which.
"""


def load_decoys(
    decoys: Decoys | None, fingerprint: Fingerprint, generator: np.random.Generator
) -> tuple[Array, ...]:
    """Draws decoys, each a batch of one; none of them twice and none close to a sample."""
    if decoys is None:
        return ()
    if not isinstance(decoys, tuple):
        return _draw_decoys(decoys, fingerprint, count=len(decoys), generator=generator)
    path, count = decoys
    images, _ = read_images(path, fingerprint.domain)
    try:
        return _draw_decoys(images, fingerprint, count=count, generator=generator)
    except InvalidArgumentError as error:
        raise BadFileError(path, str(error)) from error


def _draw_decoys(
    naturals: Codes, fingerprint: Fingerprint, *, count: int, generator: np.random.Generator
) -> tuple[Array, ...]:
    fingerprint.domain.check(naturals)
    fitting = np.flatnonzero(are_apart(naturals, fingerprint))
    if not 0 <= count <= len(fitting):
        raise InvalidArgumentError(
            f"expected {count} natural inputs unlike the samples, got {len(fitting)} of "
            f"{len(naturals)}",
            field="decoys",
        )
    drawn = generator.choice(fitting, size=count, replace=False) if count else ()
    return tuple(naturals[[row]] for row in drawn)


def are_apart(naturals: Codes, fingerprint: Fingerprint) -> Mask:
    """Which natural inputs are so far from every sample that none was made of them."""
    domain, wide = fingerprint.domain, (len(naturals), -1)
    values = domain.decode(naturals).reshape(wide).astype(np.float64)
    apart = np.ones(len(naturals), dtype=bool)
    # One sample at a time: all pairs of large images do not fit into memory.
    for row in range(len(fingerprint)):
        sample = domain.decode(fingerprint.samples[[row]]).reshape(-1)
        distances = np.sqrt(np.square(values - sample).mean(axis=1))
        apart &= distances >= APART * domain.span
    return apart


def mix_decoys(
    numbers: Sequence[int], *, first: int, count: int, generator: np.random.Generator
) -> list[int]:
    """Samples in their order, with decoys at random places among them, all equally likely."""
    if not count or not numbers:
        return list(numbers)
    total = len(numbers) + count
    places = generator.choice(total, size=count, replace=False)
    decoys = dict(zip(places.tolist(), range(first, first + count), strict=True))
    samples = iter(numbers)
    return [decoys[place] if place in decoys else next(samples) for place in range(total)]
