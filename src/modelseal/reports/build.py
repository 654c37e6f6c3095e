"""Builds reports: the summaries as JSON, a text, a page and figures, in a folder of their own."""

import json
import os
import secrets
import shutil
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeAlias

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from modelseal import tabular
from modelseal.errors import BadFileError, import_extra
from modelseal.evaluation.metrics import Summary, summarise
from modelseal.evaluation.results import Exhibit, Results, list_exhibits, read_results
from modelseal.files import explain
from modelseal.html import render
from modelseal.reports.plots import Figure, draw_figures, draw_sheets
from modelseal.reports.tables import TABLES, list_tables
from modelseal.tabular import Row, Table
from modelseal.types import Progress, ignore

# JSON has no infinity, which is the PSNR of a natural image: it is written as text.
_CONFIG = ConfigDict(ser_json_inf_nan="strings", extra="forbid")


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class _Archive:
    """What tables.json is: a kind and a version, and a summary for each network and spec."""

    kind: Literal["modelseal report"] = "modelseal report"
    version: Literal[1] = 1
    summaries: tuple[Summary, ...]


_ADAPTER: TypeAdapter[_Archive] = TypeAdapter(_Archive)


def dump(summaries: Sequence[Summary]) -> bytes:
    """Summaries as JSON; the same summaries are always the same bytes."""
    return _ADAPTER.dump_json(_Archive(summaries=tuple(summaries))) + b"\n"


def load(path: Path) -> tuple[Summary, ...]:
    """Reads the summaries of a tables.json."""
    try:
        return _ADAPTER.validate_json(path.read_bytes()).summaries
    except OSError as error:
        raise BadFileError(path, f"cannot be read: {explain(error)}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise BadFileError(
            path, f"expected a report's tables.json: {first['msg']}", field=field
        ) from error


def is_archive(path: Path) -> bool:
    """Whether a file says that it belongs to a report, of whatever version."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("kind") == "modelseal report"


_ABOUT = (
    "What samples of each method detect, what they miss, and when they raise an alarm for "
    "nothing. All numbers are in tables.json."
)

_ESCAPES = str.maketrans({"<": "&lt;", **{letter: f"\\{letter}" for letter in "\\|[*`"}})


def write_table(summary: Summary, name: str) -> str:
    """One table of a summary, as it stands in a document."""
    table = TABLES[name](summary)
    return lay_out(table) if table.rows else "Nothing of it was measured.\n"


def lay_out(table: Table) -> str:
    r"""The lines of a table.

    Examples:
        >>> table = Table(title="", note="", head=("a", "b"), rows=(("1", "x|y"),))
        >>> print(lay_out(table), end="")
        | a | b |
        | --- | --- |
        | 1 | x\|y |
    """
    lines: Sequence[Row] = (table.head, ("---",) * len(table.head), *map(_escape, table.rows))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _escape(row: Row) -> Row:
    return tuple(" ".join(cell.split()).translate(_ESCAPES) for cell in row)


def write_report(
    summaries: Sequence[Summary], figures: Sequence[Sequence[Figure]], *, about: str = _ABOUT
) -> str:
    """A whole report."""
    parts = [f"# What the samples detect\n\n{about}\n"]
    for summary, pictures in zip(summaries, figures, strict=True):
        parts.append(f"## {tabular.title(summary.network, summary.spec)}\n")
        parts += [
            f"### {table.title}\n\n{table.note}\n\n{lay_out(table)}"
            for table in list_tables(summary)
        ]
        parts += [
            f"### {picture.title}\n\n{picture.note}\n\n"
            f"![{picture.title}](figures/{picture.name}.png)\n"
            for picture in pictures
        ]
    return "\n".join(parts)


def write_page(
    summaries: Sequence[Summary], figures: Sequence[Sequence[Figure]], *, about: str = _ABOUT
) -> str:
    """A whole report as a page with its style and its figures inside, and no script."""
    parts = [
        {
            "title": tabular.title(summary.network, summary.spec),
            "tables": list_tables(summary),
            "figures": [_embed(picture) for picture in pictures],
        }
        for summary, pictures in zip(summaries, figures, strict=True)
    ]
    return render("page.html.j2", about=about, parts=parts)


def _embed(figure: Figure) -> Mapping[str, str]:
    return {
        "title": figure.title,
        "note": figure.note,
        **{
            name: f"data:image/svg+xml;base64,{b64encode(drawing).decode()}"
            for name, drawing in (("light", figure.light), ("dark", figure.dark))
        },
    }


_ARCHIVE = "tables.json"

_OURS = {_ARCHIVE, "report.md", "report.html", "figures"}
_PICTURES = {".png", ".svg"}


def check_folder(folder: Path, *, source: Path) -> None:
    """Makes sure that a report may be put into a folder."""
    try:
        place = folder.resolve()
        if place.is_relative_to(source.resolve()):
            raise BadFileError(folder, f"expected a folder outside {source}, which is read")
        if not place.parent.is_dir():
            raise BadFileError(folder, f"cannot be written: there is no folder {folder.parent}")
        if not os.access(place.parent, os.W_OK | os.X_OK):
            raise BadFileError(folder, f"cannot be written: {folder.parent} is write-protected")
        if place.exists() and not _is_replaceable(place):
            raise BadFileError(
                folder, "expected a new or empty folder or an older report, got another"
            )
    except (OSError, ValueError) as error:
        raise BadFileError(folder, f"cannot be written: {explain(error)}") from error


def _is_replaceable(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    files = list(folder.iterdir())
    if not files:
        return True
    if any(file.name not in _OURS for file in files) or not is_archive(folder / _ARCHIVE):
        return False
    figures = folder / "figures"
    return not figures.is_dir() or all(each.suffix in _PICTURES for each in figures.iterdir())


def publish(folder: Path, files: Mapping[str, bytes], *, source: Path) -> None:
    """Puts a report into a folder; whatever happens, there is the old one or the new one.

    It is built in a folder beside it, which then takes its place.
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
        _swap(fresh, place, stale)
    except OSError as error:
        raise BadFileError(folder, f"cannot be written: {explain(error)}") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        # Were there no report at all now, then the old one must stay, if under another name.
        if place.exists():
            shutil.rmtree(stale, ignore_errors=True)


def _swap(fresh: Path, place: Path, stale: Path) -> None:
    if not place.exists():
        fresh.rename(place)
        return
    place.rename(stale)
    try:
        fresh.rename(place)
    except BaseException:
        stale.rename(place)
        raise


def report(
    results: str | Path,
    output: str | Path,
    *,
    show_samples: bool = False,
    progress: Progress | None = None,
) -> Results:
    """Makes tables, figures and a page of what an evaluation found.

    Args:
        results: The folder of results.
        output: The folder to make, or an older report to replace.
        show_samples: Whether some samples are shown. Those of an evaluation are never used again.
        progress: Is told how far the drawing is.

    Returns:
        What the report is about.

    Raises:
        BadFileError: There are no results, a file of them is wrong, or the folder cannot be
            written or holds anything but a report.
    """
    source, folder = Path(results), Path(output)
    for module in ("matplotlib", "jinja2"):
        import_extra(module, purpose="A report", extra="report")
    check_folder(folder, source=source)
    found = read_results(source)
    if not found.sets:
        raise BadFileError(source, "expected results, got none yet")
    summaries = summarise(
        found.sets, found.trials, found.suspicions, samples=found.plan.samples.count
    )
    exhibits = list_exhibits(source, found.sets) if show_samples else {}
    files = assemble(
        summaries, exhibits=exhibits, missing=found.missing, progress=progress or ignore
    )
    publish(folder, files, source=source)
    return found


_Exhibits: TypeAlias = Mapping[tuple[str, str], Mapping[str, Sequence[Exhibit]]]
"""Samples to show, by network and spec, then by method."""


def assemble(
    summaries: Sequence[Summary],
    *,
    exhibits: _Exhibits = MappingProxyType({}),
    missing: int = 0,
    progress: Progress = ignore,
) -> Mapping[str, bytes]:
    """Every file of a report by its path in the report's folder."""
    figures = []
    for done, summary in enumerate(summaries):
        progress("draw", done, len(summaries))
        figures.append(_draw(summary, exhibits))
    progress("draw", len(summaries), len(summaries))
    about = f"{_ABOUT} {_describe_missing(missing)}" if missing else _ABOUT
    drawn = [each for some in figures for each in some]
    return {
        _ARCHIVE: dump(summaries),
        "report.md": write_report(summaries, figures, about=about).encode(),
        "report.html": write_page(summaries, figures, about=about).encode(),
        **{f"figures/{each.name}.png": each.png for each in drawn},
        **{f"figures/{each.name}.svg": each.light for each in drawn},
    }


def _describe_missing(results: int) -> str:
    verb = "is" if results == 1 else "are"
    return (
        f"The evaluation is not finished, or some of it failed: {results:,} of its results {verb} "
        "missing, and what is told here may change."
    )


def _draw(summary: Summary, exhibits: _Exhibits) -> tuple[Figure, ...]:
    prefix = _file_name(summary)
    shown = exhibits.get((summary.network, summary.spec), {})
    return (*draw_figures(summary, prefix=prefix), *draw_sheets(shown, summary, prefix=prefix))


def _file_name(summary: Summary) -> str:
    """What the names of a summary's files begin with."""
    text = f"{summary.network}-{summary.spec}"
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in text)
