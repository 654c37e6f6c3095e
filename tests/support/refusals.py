"""What it looks like when something is refused: the class of the error, its field, its file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from modelseal.errors import BadFileError


@contextmanager
def refuses(
    kind: type[Exception] = BadFileError,
    *,
    field: str | None = None,
    file: Path | str | None = None,
    match: str | None = None,
) -> Iterator[Any]:
    """Makes sure that an error of a kind is raised, about a field and a file if these are given."""
    with pytest.raises(kind, match=match) as caught:
        yield caught
    error: Any = caught.value
    assert "\n" not in str(error)
    assert field is None or error.field == field
    assert file is None or error.file == str(file)
