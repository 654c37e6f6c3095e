"""Writes a verdict as JSON, as JUnit XML or SARIF for machines, and as a page for people."""

import json
import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path, PurePath
from shlex import join
from urllib.parse import quote
from xml.etree import ElementTree

from modelseal.enums import VerdictForm
from modelseal.errors import import_extra
from modelseal.files import write_atomically
from modelseal.html import render, valid
from modelseal.tabular import Row, Table
from modelseal.verdict import Evidence, Finding, Outcome, Verdict, VerdictDocument
from modelseal.verification.verdict_text import (
    describe_meaning,
    evidence_table,
    facts_of,
    noticed_table,
    statistics_of,
    unasked,
)


def write_verdict(verdict: Verdict, files: dict[VerdictForm, Path]) -> None:
    """Writes a verdict into files of several forms, each whole or not at all.

    All are made before the first is written: what cannot be made leaves nothing behind.

    Args:
        verdict: What `verify` returned.
        files: Where each form goes.

    Raises:
        BadFileError: A file cannot be written.
        MissingExtraError: A page is wanted, and Jinja is not installed.
    """
    document = VerdictDocument.of(verdict)
    made = [(path, FORMS[form](document)) for form, path in files.items()]
    for path, content in made:
        write_atomically(path, content)


def require_pages() -> None:
    """Makes sure that pages can be made."""
    import_extra("jinja2", purpose="A page of a verdict", extra="report")


def to_json(document: VerdictDocument) -> bytes:
    """The document itself, with sorted keys."""
    content = document.model_dump(mode="json", by_alias=True)
    return f"{json.dumps(content, indent=2, sort_keys=True, allow_nan=False)}\n".encode()


_SUITE = "modelseal"

FAULTS = {Outcome.TAMPERED: "failure", Outcome.UNDECIDED: "error"}

FINDINGS = {Finding.DIFFERS: Outcome.TAMPERED, Finding.UNCLEAR: Outcome.UNDECIDED}


def to_junit(document: VerdictDocument) -> bytes:
    """JUnit XML, which nearly every system of continuous integration reads.

    There is one suite. Its first case is the verdict, so that a check that asked nothing is no
    suite of passed or skipped cases; each sample is one more. A tampered model and the samples
    that prove it are failures; an undecided verdict and the samples that gave no clear answer are
    errors. What was not asked is skipped. The form is the common part of what Jenkins and GitLab
    document: counts on both levels, `failure` and `error` with `message` and `type`.
    """
    suites = ElementTree.Element("testsuites", name=_SUITE)
    suite = ElementTree.SubElement(suites, "testsuite", name=_SUITE)
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in facts_of(document).items():
        fields = {"name": name.replace(" ", "_"), "value": valid(value)}
        ElementTree.SubElement(properties, "property", fields)
    case = _add_case(suite, "verdict")
    if document.outcome in FAULTS:
        _add_fault(case, document.outcome, valid(document.reason))
    for entry in sorted(document.evidence, key=lambda entry: entry.sample):
        case = _add_case(suite, f"sample {entry.sample}")
        # A sample that differs now and then passes if the model is intact all the same.
        if document.outcome is not Outcome.INTACT and entry.finding in FINDINGS:
            _add_fault(case, FINDINGS[entry.finding], valid(_describe_entry(entry)))
    for number in unasked(document):
        ElementTree.SubElement(_add_case(suite, f"sample {number}"), "skipped", message="not asked")
    kinds = {"tests": "", "failures": "/failure", "errors": "/error", "skipped": "/skipped"}
    counts = {name: str(len(suite.findall(f"testcase{kind}"))) for name, kind in kinds.items()}
    suites.attrib |= counts
    # The common schema knows no letter for the zone: times are in UTC.
    suite.attrib |= {**counts, "timestamp": valid(document.time.removesuffix("Z"))}
    ElementTree.indent(suites)
    # Characters that no encoding has were escaped.
    text: str = ElementTree.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'.encode()


def _add_case(suite: ElementTree.Element, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=_SUITE, name=name)


def _add_fault(case: ElementTree.Element, outcome: Outcome, message: str) -> None:
    fields = {"message": message, "type": outcome.value}
    ElementTree.SubElement(case, FAULTS[outcome], fields).text = message


def _describe_entry(entry: Evidence) -> str:
    got = f"no clear answer: {entry.reason}" if entry.reason else entry.shown
    return f"expected {entry.expected}, got {got}"


SARIF = "2.1.0"
_SARIF_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)

CODES = {Outcome.INTACT: 0, Outcome.TAMPERED: 1, Outcome.UNDECIDED: 3}

LEVELS = {Outcome.TAMPERED: "error", Outcome.UNDECIDED: "warning"}

RULES = {
    Outcome.TAMPERED: (
        "The served model was changed",
        "Compare the deployed weights with the weights digest, and the precision and the runtime "
        "with those at sealing or enrollment. Until then trust no answer of this endpoint.",
    ),
    Outcome.UNDECIDED: (
        "Nothing is known of the served model",
        "Read the reason, make the endpoint answer, and verify again.",
    ),
}


def to_sarif(document: VerdictDocument) -> bytes:
    """SARIF 2.1.0, which code scanning reads.

    There is one result at most, for the verdict and not for single samples: these are asked in
    random order until one differs, and would be another finding every night.
    """
    outcome = document.outcome
    rules = [
        {
            "id": rule.value,
            "name": rule.value.capitalize(),
            "shortDescription": {"text": title},
            "fullDescription": {"text": describe_meaning(document, rule)},
            "help": {"text": advice},
            "defaultConfiguration": {"level": LEVELS[rule]},
        }
        for rule, (title, advice) in RULES.items()
    ]
    counts = {"samples": document.samples, "asked": document.asked}
    run = {
        "tool": {"driver": {"name": "modelseal", "version": document.modelseal, "rules": rules}},
        "automationDetails": {"id": f"modelseal/{_identify(document)[:16]}/"},
        "invocations": [
            {
                # One that could not decide did not do its work.
                "executionSuccessful": outcome is not Outcome.UNDECIDED,
                "exitCode": CODES[outcome],
                "exitCodeDescription": outcome.value,
                "endTimeUtc": document.time,
            }
        ],
        "artifacts": [{"location": {"uri": _address(document.fingerprint)}}],
        "results": [] if outcome is Outcome.INTACT else [_sarif_result(document)],
        "columnKind": "unicodeCodePoints",
        "properties": {**facts_of(document), **counts},
    }
    whole = {"$schema": _SARIF_SCHEMA, "version": SARIF, "runs": [run]}
    return f"{json.dumps(whole, indent=2, allow_nan=False)}\n".encode()


def _sarif_result(document: VerdictDocument) -> dict[str, object]:
    outcome = document.outcome
    same = _digest(outcome.value, _identify(document))
    place = {
        "physicalLocation": {
            "artifactLocation": {"uri": _address(document.fingerprint), "index": 0},
            # The place is a file without lines, but code scanning shows nothing without one.
            "region": {"startLine": 1},
        },
        "logicalLocations": [{"fullyQualifiedName": document.endpoint, "kind": "resource"}],
    }
    evidence = document.model_dump(mode="json", include={"evidence"})
    return {
        "ruleId": outcome.value,
        "ruleIndex": list(RULES).index(outcome),
        "kind": "fail",
        "level": LEVELS[outcome],
        "message": {"text": _sarif_text(f"{document.endpoint}: {document.reason}")},
        "locations": [place],
        # The second is the only one that GitHub compares.
        "fingerprints": {"modelseal/1": same},
        "partialFingerprints": {"primaryLocationLineHash": f"{same[:16]}:1"},
        "properties": {**evidence, **statistics_of(document)},
    }


def _sarif_text(text: str) -> str:
    escaped = re.sub(r"([\\\[\]])", r"\\\1", text)
    return escaped.replace("{", "{{").replace("}", "}}")


def _identify(document: VerdictDocument) -> str:
    """The same text for every check of one sealed model behind one endpoint."""
    return _digest(document.weights_digest, document.endpoint)


def _digest(*parts: str) -> str:
    return sha256("\n".join(parts).encode(errors="surrogatepass")).hexdigest()


def _address(file: str) -> str:
    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix(), errors="surrogatepass")


def to_html(document: VerdictDocument) -> bytes:
    """A page with no script and nothing to fetch, to be read or printed; never the samples."""
    require_pages()
    # A file is given alone, without the place that it declares.
    endpoint = document.endpoint.partition(" (")[0]
    page = render(
        "verdict.html.j2",
        outcome=document.outcome.value,
        reason=document.reason,
        meaning=describe_meaning(document, document.outcome),
        facts=_page_facts(document),
        tables=[table for table in _page_tables(document) if table.rows],
        command=join(["modelseal", "verify", document.fingerprint, endpoint, "--all"]),
    )
    # A name may hold half a character, which no encoding has.
    return page.encode(errors="backslashreplace")


def _page_facts(document: VerdictDocument) -> list[Row]:
    asked = f"{document.asked} of {document.samples} asked"
    counts = f"{document.agrees} agree, {document.differs} differ, {document.unclear} unclear"
    return [
        ("endpoint", document.endpoint),
        ("fingerprint", document.fingerprint),
        ("sealed weights", document.weights_digest),
        ("signed by", document.signed_by or "no signature was asked for"),
        ("time", document.time.replace("T", " ").replace("Z", " UTC")),
        ("samples", f"{asked}: {counts}"),
        ("program", f"modelseal {document.modelseal}"),
    ]


def _page_tables(document: VerdictDocument) -> list[Table]:
    statistics = Table(
        title="Statistics",
        note="What was counted of answers that vary from one query to the next.",
        head=("quantity", "value"),
        rows=tuple(statistics_of(document).items()),
    )
    evidence = evidence_table(document.evidence, missing=len(unasked(document)))
    return [noticed_table(document.rules_out), statistics, evidence]


FORMS: dict[VerdictForm, Callable[[VerdictDocument], bytes]] = {
    VerdictForm.JSON: to_json,
    VerdictForm.JUNIT: to_junit,
    VerdictForm.SARIF: to_sarif,
    VerdictForm.HTML: to_html,
}
