"""Keeps summaries as JSON, from which every table can be made again."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from modelseal.errors import BadFileError
from modelseal.evaluation.summary import Summary
from modelseal.writing import explain

# JSON has no infinity, which is the PSNR of a natural image: it is written as text.
CONFIG = ConfigDict(ser_json_inf_nan="strings", extra="forbid")


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Archive:
    """What tables.json is: a kind and a version, so that a report is known as one, and summaries.

    Args:
        kind: Always the same.
        version: Of this layout.
        summaries: One for each network and kind of endpoint.
    """

    kind: Literal["modelseal report"] = "modelseal report"
    version: Literal[1] = 1
    summaries: tuple[Summary, ...]


ADAPTER: TypeAdapter[Archive] = TypeAdapter(Archive)


def dump(summaries: Sequence[Summary]) -> bytes:
    """Summaries as JSON; the same summaries are always the same bytes."""
    return ADAPTER.dump_json(Archive(summaries=tuple(summaries))) + b"\n"


def load(path: Path) -> tuple[Summary, ...]:
    """Reads the summaries of a tables.json.

    Raises:
        BadFileError: It cannot be read or is something else.
    """
    try:
        return ADAPTER.validate_json(path.read_bytes()).summaries
    except OSError as error:
        raise BadFileError(path, f"cannot be read: {explain(error)}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise BadFileError(
            path, f"is no report's tables.json: {first['msg']}", field=field
        ) from error


def is_archive(path: Path) -> bool:
    """Whether a file says that it belongs to a report, of whatever version."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("kind") == "modelseal report"
