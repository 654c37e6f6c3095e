"""Reads the images of the published experiment, whose names say who is seen on them."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from modelseal.domain import Domain
from modelseal.errors import BadFileError
from modelseal.models.images import read_images
from modelseal.shapes import Codes
from modelseal.writing import explain


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Faces:
    """Images with their classes.

    Args:
        images: As they are stored.
        labels: The class of each.
        files: The name of each one's file.
    """

    images: Codes
    labels: Int[np.ndarray, " batch"]
    files: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)


def read_names(path: Path, *, classes: int) -> tuple[str, ...]:
    """Reads who the classes are, a person a line; the first line is class 0.

    Args:
        path: A text in UTF-8.
        classes: How many classes the network has.

    Raises:
        BadFileError: It cannot be read, has another number of names, or has one twice.
    """
    try:
        names = tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        problem = "no text in UTF-8" if isinstance(error, ValueError) else explain(error)
        raise BadFileError(path, f"cannot be read: {problem}") from error
    if len(names) != classes or not all(names):
        raise BadFileError(
            path,
            f"{classes} names were wanted, one a line for each class of the network, but there "
            f"are {sum(map(bool, names))} in {len(names)} lines",
        )
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadFileError(path, f"names that differ were wanted, but {twice} comes twice")
    return names


def read_faces(folder: Path, names: tuple[str, ...], domain: Domain) -> Faces:
    """Reads a folder of images named `Person_Name_123.jpg`.

    Args:
        folder: PNG and JPEG files; one of another size is resized and cut to its centre.
        names: Who the classes are.
        domain: What a valid input is.

    Raises:
        BadFileError: There is no such folder or no image, one cannot be read, or its name is
            nobody's.
    """
    if not folder.is_dir():
        raise BadFileError(folder, "a folder of images was wanted, but there is none")
    images, files = read_images(folder, domain)
    numbers = {name: number for number, name in enumerate(names)}
    labels = [label(folder / file, numbers) for file in files]
    return Faces(images=images, labels=np.array(labels, np.int64), files=files)


def label(file: Path, numbers: dict[str, int]) -> int:
    """The class that a file's name tells: all before the underscore of the first digit.

    Raises:
        BadFileError: It has no digit, or nobody is called so.
    """
    digit = re.search(r"[0-9]", file.stem)
    if digit is None:
        raise BadFileError(file, "a name such as Person_Name_123.jpg was wanted, with a number")
    name = file.stem[: digit.start()].removesuffix("_")
    if name not in numbers:
        raise BadFileError(file, f"a name of names.txt was wanted, but {name or 'nobody'} is none")
    return numbers[name]
