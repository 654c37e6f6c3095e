"""What a signature says of a fingerprint: which one it is, of which weights, and of which files.

A statement is about the canonical plain bytes, so that one signature holds for the plain file and
for every encrypted copy. It may name the files of the model with their SHA-256, in the form of the
resources of an OpenSSF Model Signing (OMS) v1.0 manifest, and with the same root digest, so that
the two can be compared.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import Field

from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.fingerprint.codec import file_digest
from modelseal.fingerprint.parsing import Strict
from modelseal.fingerprint.record import Fingerprint
from modelseal.writing import explain

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Resource(Strict):
    """One file of the model, as an OMS v1.0 manifest lists it."""

    name: str
    algorithm: Literal["sha256"]
    digest: Hex


class ModelFiles(Strict):
    """The files of the model, and their root digest as in the subject of an OMS v1.0 statement."""

    resources: Annotated[tuple[Resource, ...], Field(min_length=1)]
    sha256: Hex


class Claim(Strict):
    """What is said of a fingerprint.

    Args:
        fingerprint: SHA-256 of the canonical plain bytes of the fingerprint.
        weights_digest: The digest of the sealed weights, as the fingerprint has it.
        model: The files of the model, if they were named.
    """

    fingerprint: Digest
    weights_digest: Digest
    model: ModelFiles | None


def claim(fingerprint: Fingerprint, model: ModelFiles | None) -> Claim:
    """What is to be said of a fingerprint.

    Args:
        fingerprint: The fingerprint.
        model: The files of its model, from `list_model_files`.
    """
    return Claim(
        fingerprint=file_digest(fingerprint),
        weights_digest=fingerprint.origin.weights_digest,
        model=model,
    )


def check_claim(said: Claim, fingerprint: Fingerprint, *, name: str) -> None:
    """Makes sure that something is said of this fingerprint and not of another.

    Args:
        said: What is said.
        fingerprint: The fingerprint.
        name: What the file that says so is called in errors.

    Raises:
        BadFileError: It is said of another.
    """
    found = (file_digest(fingerprint), fingerprint.origin.weights_digest)
    if (said.fingerprint, said.weights_digest) != found:
        raise BadFileError(
            name,
            f"a signature of the fingerprint {found[0]} was wanted, but it is of "
            f"{said.fingerprint}",
        )


def list_model_files(files: Iterable[Path]) -> ModelFiles:
    """The files of a model with their SHA-256, as an OMS v1.0 manifest of them lists them.

    Each is named by its path from the folder that holds them all, or by its own name if it is
    alone, and they are sorted as paths, part by part. The root digest is SHA-256 over their
    digests, one after the other in this order.

    Raises:
        BadFileError: A file cannot be read, or its name is not in UTF-8.
        InvalidArgumentError: None came, or one came twice.
    """
    paths = list(files)
    digests = {path.resolve(): hash_file(path) for path in paths}
    if not digests or len(digests) < len(paths):
        raise InvalidArgumentError("each file of the model was wanted once, and at least one")
    return model_of({name: digests[path] for name, path in named(digests).items()})


def named(paths: Iterable[Path]) -> dict[str, Path]:
    """Files by their path from the deepest folder that holds them all, with slashes."""
    every = list(paths)
    folder = every[0].parent
    while not all(path.is_relative_to(folder) for path in every):
        folder = folder.parent
    return {path.relative_to(folder).as_posix(): path for path in every}


def model_of(digests: Mapping[str, str]) -> ModelFiles:
    """The files of a model by their digests, sorted as paths: a folder's files are together."""
    names = sorted(digests, key=PurePosixPath)
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise BadFileError(ascii(name), "a name in UTF-8 was wanted") from error
    root = hashlib.sha256(b"".join(bytes.fromhex(digests[name]) for name in names))
    return ModelFiles(
        resources=tuple(
            Resource(name=name, algorithm="sha256", digest=digests[name]) for name in names
        ),
        sha256=root.hexdigest(),
    )


def hash_file(path: Path) -> str:
    """SHA-256 of a file, however large it is.

    Raises:
        BadFileError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise BadFileError(path, f"cannot be read: {explain(error)}") from error
