"""A verdict as JUnit XML, which nearly every system of continuous integration reads.

There is one suite. Its first case is the verdict, so that a check that asked nothing is no suite
of passed or skipped cases; each sample is one more. The form is the common part of what Jenkins
and GitLab document: counts on both levels, `failure` and `error` with `message` and `type`.
"""

from xml.etree import ElementTree

from modelseal.html import valid
from modelseal.verification.documents import Entry, Record, state, unasked

SUITE = "modelseal"
"""What the suite and the class of each case are called."""

FAULTS = {"tampered": "failure", "undecided": "error"}
"""The element below a case, for each outcome but intact."""

FINDINGS = {"differs": "tampered", "unclear": "undecided"}
"""The outcome that one sample alone speaks for, for each finding but an answer as expected."""


def write_junit(record: Record) -> bytes:
    """A verdict as a JUnit XML file, in UTF-8.

    A tampered model and the samples that prove it are failures; an undecided verdict and the
    samples that gave no clear answer are errors. What was not asked is skipped.

    Args:
        record: What `--json` writes.
    """
    suites = ElementTree.Element("testsuites", name=SUITE)
    suite = ElementTree.SubElement(suites, "testsuite", name=SUITE)
    add_properties(suite, record)
    add_verdict(suite, record)
    for entry in sorted(record["evidence"], key=lambda entry: entry["sample"]):
        add_sample(suite, entry, record["outcome"])
    for number in unasked(record):
        skipped = add_case(suite, f"sample {number}")
        ElementTree.SubElement(skipped, "skipped", message="not asked")
    counts = count(suite)
    suites.attrib |= counts
    # The common schema knows no letter for the zone: times are in UTC.
    suite.attrib |= {**counts, "timestamp": valid(record["time"].removesuffix("Z"))}
    ElementTree.indent(suites)
    # Characters that no encoding has were escaped.
    text: str = ElementTree.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'.encode()


def add_properties(suite: ElementTree.Element, record: Record) -> None:
    """Says what the verdict is about."""
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in state(record).items():
        fields = {"name": name.replace(" ", "_"), "value": valid(value)}
        ElementTree.SubElement(properties, "property", fields)


def add_case(suite: ElementTree.Element, name: str) -> ElementTree.Element:
    """One more case, passed as long as nothing is put below it."""
    return ElementTree.SubElement(suite, "testcase", classname=SUITE, name=name)


def add_verdict(suite: ElementTree.Element, record: Record) -> None:
    """The case that is passed by an intact model alone."""
    case = add_case(suite, "verdict")
    if record["outcome"] != "intact":
        add_fault(case, record["outcome"], record["reason"])


def add_sample(suite: ElementTree.Element, entry: Entry, outcome: str) -> None:
    """The case of one sample; it is passed if the model is intact all the same."""
    case = add_case(suite, f"sample {entry['sample']}")
    if outcome != "intact" and entry["finding"] in FINDINGS:
        came = entry["reason"] or f"answered {entry['shown']}"
        add_fault(case, FINDINGS[entry["finding"]], f"{entry['expected']} was wanted: {came}")


def add_fault(case: ElementTree.Element, outcome: str, message: str) -> None:
    """What is wrong, where a case is not passed."""
    fields = {"message": valid(message), "type": outcome}
    ElementTree.SubElement(case, FAULTS[outcome], fields).text = valid(message)


def count(suite: ElementTree.Element) -> dict[str, str]:
    """How many cases there are, and how many of them have which element below."""
    kinds = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    cases = {"tests": len(suite.findall("testcase"))}
    below = {name: len(suite.findall(f"testcase/{kind}")) for name, kind in kinds.items()}
    return {name: str(number) for name, number in (cases | below).items()}
