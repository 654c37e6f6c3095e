"""Writes a verdict as one HTML page that needs nothing beside it, to be read or printed."""

from math import floor
from shlex import join

from modelseal.display import Row, Table
from modelseal.fingerprint.record import tell_level
from modelseal.html import render
from modelseal.verification.documents import (
    Entry,
    Noticed,
    Record,
    state_statistics,
    tell_meaning,
    unasked,
)

TEMPLATE = "verdict.html.j2"


def write_verdict(record: Record) -> bytes:
    """A verdict as a page, in UTF-8, with no script and nothing to fetch; never the samples.

    Args:
        record: What `--json` writes.
    """
    page = render(
        TEMPLATE,
        outcome=record["outcome"],
        reason=record["reason"],
        meaning=tell_meaning(record, record["outcome"]),
        facts=list_facts(record),
        tables=[table for table in list_tables(record) if table.rows],
        command=join(["modelseal", "verify", record["fingerprint"], given(record), "--all"]),
    )
    # A name may hold half a character, which no encoding has.
    return page.encode(errors="backslashreplace")


def given(record: Record) -> str:
    """The endpoint as it is given to the program: a file alone, without the place it declares."""
    return record["endpoint"].partition(" (")[0]


def list_facts(record: Record) -> list[Row]:
    """What was asked, when and by which program, by name."""
    asked = f"{record['asked']} of {record['samples']} asked"
    counts = f"{record['agrees']} agree, {record['differs']} differ, {record['unclear']} unclear"
    return [
        ("endpoint", record["endpoint"]),
        ("fingerprint", record["fingerprint"]),
        ("sealed weights", record["weights_digest"]),
        ("signed by", record["signed_by"] or "no signature was asked for"),
        ("time", record["time"].replace("T", " ").replace("Z", " UTC")),
        ("samples", f"{asked}: {counts}"),
        ("program", f"modelseal {record['modelseal']}"),
    ]


def list_tables(record: Record) -> list[Table]:
    """What the verdict rules out, what was counted, and what each sample showed."""
    return [
        Table(
            title="What the samples notice",
            note="What this verdict rules out, as far as it was tried at sealing: the smallest "
            "change of each kind that was noticed on every changed copy of the network, or how "
            "many copies were noticed; shares at 95 % confidence.",
            head=("change", "from", "copies noticed", "share noticed"),
            rows=tuple(tell_noticed(each) for each in record["rules_out"]),
        ),
        Table(
            title="Statistics",
            note="What was counted of answers that vary from one question to the next.",
            head=("quantity", "value"),
            rows=tuple(state_statistics(record).items()),
        ),
        Table(
            title="Evidence",
            note="What each sample was expected to answer and what came, in the order of asking.",
            head=("sample", "finding", "expected", "shown"),
            rows=(*map(tell_entry, record["evidence"]), *tell_unasked(record)),
        ),
    ]


def tell_noticed(limit: Noticed) -> Row:
    """One line of what is ruled out; a bound is never rounded up."""
    level = "" if limit["level"] is None else f"{tell_level(limit['level'])} {limit['unit']}"
    share = f"{floor(1000 * limit['at_least']) / 10:.1f} % or more"
    count = f"{limit['noticed']} of {limit['draws']}"
    return limit["family"], level, count, "the only one" if limit["fixed"] else share


def tell_entry(entry: Entry) -> Row:
    """One line of evidence."""
    shown = entry["reason"] or entry["shown"]
    return str(entry["sample"]), entry["finding"], entry["expected"], shown


def tell_unasked(record: Record) -> list[Row]:
    """One line for all that were not asked; none if there are none."""
    left = unasked(record)
    return [(f"{len(left)} more", "not asked", "", "")] if left else []
