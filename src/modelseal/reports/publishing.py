"""Puts a report into a folder, whole or not at all."""

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from modelseal.errors import BadFileError
from modelseal.reports.archive import is_archive
from modelseal.writing import explain

ARCHIVE = "tables.json"
"""The file by which a report is known as one."""

OURS = {ARCHIVE, "report.md", "report.html", "figures"}
PICTURES = {".png", ".svg"}


def check_folder(folder: Path, *, source: Path) -> None:
    """Makes sure that a report may be put into a folder.

    Args:
        folder: Missing, empty, or a report that is to be replaced.
        source: The folder that is read, which must not hold the report.

    Raises:
        BadFileError: It holds anything else, or cannot be written.
    """
    try:
        place = folder.resolve()
        if place.is_relative_to(source.resolve()):
            raise BadFileError(folder, f"a folder outside {source} was wanted, which is read")
        if not place.parent.is_dir():
            raise BadFileError(folder, f"cannot be written: there is no folder {folder.parent}")
        if not os.access(place.parent, os.W_OK | os.X_OK):
            raise BadFileError(folder, f"cannot be written: {folder.parent} is write-protected")
        if place.exists() and not is_replaceable(place):
            raise BadFileError(
                folder, "a new or empty folder or an older report was wanted, but this is another"
            )
    except (OSError, ValueError) as error:
        raise BadFileError(folder, f"cannot be written: {explain(error)}") from error


def is_replaceable(folder: Path) -> bool:
    """Whether it is a folder with nothing in it but a report of ours, or with nothing at all."""
    if not folder.is_dir():
        return False
    files = list(folder.iterdir())
    if not files:
        return True
    if any(file.name not in OURS for file in files) or not is_archive(folder / ARCHIVE):
        return False
    figures = folder / "figures"
    return not figures.is_dir() or all(each.suffix in PICTURES for each in figures.iterdir())


def publish(folder: Path, files: Mapping[str, bytes], *, source: Path) -> None:
    """Puts a report into a folder; whatever happens, there is the old one or the new one.

    It is built in a folder beside it, which then takes its place.

    Args:
        folder: Missing, empty, or a report that is replaced.
        files: What is in it, by path.
        source: The folder that was read.

    Raises:
        BadFileError: It holds anything else, or cannot be written.
    """
    check_folder(folder, source=source)
    place = folder.resolve()
    name = f".{place.name}.{secrets.token_hex(8)}"
    fresh, stale = place.with_name(f"{name}.new"), place.with_name(f"{name}.old")
    try:
        for path, content in files.items():
            target = fresh / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        swap(fresh, place, stale)
    except OSError as error:
        raise BadFileError(folder, f"cannot be written: {explain(error)}") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        # Were there no report at all now, then the old one must stay, if under another name.
        if place.exists():
            shutil.rmtree(stale, ignore_errors=True)


def swap(fresh: Path, place: Path, stale: Path) -> None:
    """Puts a folder in the place of another, which comes back if that fails."""
    if not place.exists():
        fresh.rename(place)
        return
    place.rename(stale)
    try:
        fresh.rename(place)
    except BaseException:
        stale.rename(place)
        raise
