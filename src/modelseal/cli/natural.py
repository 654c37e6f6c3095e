"""Reads the natural images with known labels that an endpoint is asked first."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from modelseal.cli.asking import Asking
from modelseal.endpoints.base import Endpoint
from modelseal.endpoints.declaration import CheckSection, is_endpoint, read_endpoint
from modelseal.endpoints.labelling import Labelling, number_of
from modelseal.errors import BadFileError, EndpointError, InvalidArgumentError
from modelseal.fingerprint.record import Fingerprint
from modelseal.models.images import BROKEN_ARRAYS, read_images
from modelseal.validating import read_lines
from modelseal.verifying.rehearsing import Natural, rehearse


def ask_natural(
    opened: Endpoint, endpoint: str, fingerprint: Fingerprint, *, asking: Asking
) -> None:
    """Asks natural images before any sample, if somebody names some.

    Args:
        opened: What is asked.
        endpoint: Its name.
        fingerprint: Whose samples shall be asked afterwards.
        asking: What the user said of how to ask.

    Raises:
        BadFileError: Images or labels cannot be read, or do not fit.
        EndpointError: The answers are not what they should be.
    """
    natural = find_natural(endpoint, fingerprint, check=asking.check)
    if natural is not None:
        # The user's seed is that of the order of samples, and of nothing else.
        source = np.random.default_rng()
        rehearse(fingerprint, opened, natural, generator=source, manners=asking.manners)


def find_natural(endpoint: str, fingerprint: Fingerprint, *, check: Path | None) -> Natural | None:
    """The images that are asked first; None if nobody names any.

    Args:
        endpoint: What is asked; an endpoint.toml may name images.
        fingerprint: Whose classes they show.
        check: A file of images that the user names, which goes before the endpoint's own.

    Raises:
        BadFileError: Images or labels cannot be read, or do not fit.
    """
    if check is not None:
        return read_natural(CheckSection(images=check.name), check.parent, fingerprint)
    path = Path(endpoint)
    if path.suffix.lower() != ".toml" or not is_endpoint(path):
        return None
    declaration = read_endpoint(path)
    if declaration.check is None:
        return None
    answer = declaration.answer
    listed = read_lines(path.parent / answer.names_file) if answer.names_file else answer.names
    return read_natural(declaration.check, path.parent, fingerprint, names=tuple(listed))


def read_natural(
    section: CheckSection,
    folder: Path,
    fingerprint: Fingerprint,
    *,
    names: tuple[str, ...] = (),
) -> Natural:
    """Reads images and labels, and takes as many of them as are asked, from first to last.

    Args:
        section: Where they are.
        folder: What the paths are relative to.
        fingerprint: Whose classes they show.
        names: What the classes are called; by default as the fingerprint does.

    Raises:
        BadFileError: They cannot be read, or do not fit.
    """
    images = folder / section.images
    codes, _ = read_images(images, fingerprint.domain)
    names = names or fingerprint.names
    labels = find_labels(section, folder, names=names)
    if len(labels) != len(codes):
        raise BadFileError(
            images, f"{len(codes)} labels were wanted, one for each image, not {len(labels)}"
        )
    rows = np.linspace(0, len(codes) - 1, min(section.count, len(codes))).round().astype(int)
    wanted = [labels[row] for row in rows]
    try:
        labelling = Labelling(classes=fingerprint.classes, names=names)
        known = np.array([labelling.index(label) for label in wanted])
    except (EndpointError, InvalidArgumentError) as error:
        raise BadFileError(images, f"labels: {error}") from error
    return Natural(codes=codes[rows], labels=known, at_least=section.at_least)


def find_labels(section: CheckSection, folder: Path, *, names: tuple[str, ...]) -> Sequence[object]:
    """The labels: as they are listed, those of a file, or those beside the images.

    A line of a file is a name if there is such a class, and a number else.

    Raises:
        BadFileError: They cannot be read, or there are none.
    """
    if section.labels:
        return section.labels
    if section.labels_file is not None:
        lines = read_lines(folder / section.labels_file)
        return [line if line in names else number_or_text(line) for line in lines]
    images = folder / section.images
    if images.is_dir():
        raise BadFileError(images, "labels are needed beside a folder, but there are none")
    try:
        with np.load(images, allow_pickle=False) as arrays:
            found = arrays.get("labels")
    except BROKEN_ARRAYS as error:
        raise BadFileError(images, f"cannot be read as arrays: {error}") from error
    if not isinstance(found, np.ndarray) or found.ndim != 1 or found.dtype.kind not in "iuU":
        raise BadFileError(images, "an array named labels of whole numbers or names was wanted")
    labels: list[object] = found.tolist()
    return labels


def number_or_text(line: str) -> object:
    """The number that a line is, or else the line."""
    number = number_of(line)
    return line if number is None else number
