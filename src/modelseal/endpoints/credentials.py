"""Finds the credentials that an endpoint.toml names, and never tells them."""

import re
import ssl
from collections.abc import Mapping
from pathlib import Path

from modelseal.endpoints.access import Access, check_header, secrets_of
from modelseal.endpoints.declaration import EndpointSection
from modelseal.errors import BadFileError, InvalidArgumentError

LARGEST = 2**16
"""The largest file of a credential, in bytes."""

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""The name of a variable of the environment."""


def find_access(section: EndpointSection, path: Path, *, environment: Mapping[str, str]) -> Access:
    """What lets a request in.

    No error shows what was found, or the name of what was not: somebody may have written the
    credential itself in its place.

    Args:
        section: What the file says.
        path: The file.
        environment: The variables that it may name.

    Raises:
        BadFileError: A variable or a file is missing, or what it holds is no header.
    """
    found = {
        **{
            name: from_environment(path, name, variable, environment)
            for name, variable in section.header_from_env.items()
        },
        **{
            name: from_file(path, name, path.parent / file)
            for name, file in section.header_from_file.items()
        },
    }
    for name, value in {**section.headers, **found}.items():
        try:
            check_header(name, value)
        except InvalidArgumentError as error:
            raise BadFileError(path, str(error), field="endpoint") from error
    secrets = frozenset().union(*map(secrets_of, found.values()))
    return Access(
        headers={**section.headers, **found}, secrets=secrets, ca_file=find_ca(section, path)
    )


def from_environment(path: Path, name: str, variable: str, environment: Mapping[str, str]) -> str:
    """What a variable holds.

    Raises:
        BadFileError: There is no such variable, or it is empty.
    """
    field = f"endpoint.header_from_env.{name}"
    if not VARIABLE.fullmatch(variable):
        raise BadFileError(path, "the name of a variable was wanted, but this is none", field=field)
    if not (value := environment.get(variable, "").strip()):
        raise BadFileError(
            path, "the environment has no such variable, or an empty one", field=field
        )
    return value


def from_file(path: Path, name: str, file: Path) -> str:
    """What a file holds, without the line break at its end.

    Raises:
        BadFileError: It cannot be read, is empty, or too large.
    """
    field = f"endpoint.header_from_file.{name}"
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST + 1)
        value = content.decode("ascii").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no ASCII"
        # The chain would show the name, or the bytes.
        raise BadFileError(path, f"the file cannot be read: {reason}", field=field) from None
    if not value or len(content) > LARGEST:
        raise BadFileError(path, f"a file of 1 to {LARGEST} bytes was wanted", field=field)
    return value


def find_ca(section: EndpointSection, path: Path) -> Path | None:
    """The file of certificates to trust, if there is one.

    Raises:
        BadFileError: It cannot be used.
    """
    if section.ca_file is None:
        return None
    file = path.parent / section.ca_file
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:
        problem = f"certificates in PEM were wanted: {error.strerror or error}"
        raise BadFileError(file, problem) from error
    return file
