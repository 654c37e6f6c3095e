"""A verdict as SARIF 2.1.0, which code scanning reads.

There is one result at most, for the verdict and not for single samples: these are asked in random
order until one differs, and would be another finding every night.
"""

import json
import re
from hashlib import sha256
from pathlib import PurePath
from urllib.parse import quote

from modelseal.verification.documents import Record, state, state_statistics, tell_meaning

VERSION = "2.1.0"
SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)

CODES = {"intact": 0, "tampered": 1, "undecided": 3}
"""The exit code of `verify` for each outcome."""

LEVELS = {"tampered": "error", "undecided": "warning"}
"""How grave each result is; an intact model gives none."""

RULES = {
    "tampered": (
        "The served model was changed",
        "Compare the deployed weights with the weights digest, and the precision and the runtime "
        "with those at sealing or enrolment. Until then trust no answer of this endpoint.",
    ),
    "undecided": (
        "Nothing is known of the served model",
        "Read the reason, make the endpoint answer, and verify again.",
    ),
}
"""By rule what it is called and what to do."""


def write_sarif(record: Record) -> bytes:
    """A verdict as a SARIF file, in UTF-8.

    Args:
        record: What `--json` writes.
    """
    run = {
        "tool": {"driver": describe_tool(record)},
        "automationDetails": {"id": f"modelseal/{identify(record)[:16]}/"},
        "invocations": [describe_run(record)],
        "artifacts": [{"location": {"uri": address(record["fingerprint"])}}],
        "results": describe_results(record),
        "columnKind": "unicodeCodePoints",
        "properties": {**state(record), "samples": record["samples"], "asked": record["asked"]},
    }
    document = {"$schema": SCHEMA, "version": VERSION, "runs": [run]}
    return f"{json.dumps(document, indent=2, allow_nan=False)}\n".encode()


def describe_tool(record: Record) -> dict[str, object]:
    """The program and the rules by which it reports."""
    return {
        "name": "modelseal",
        "version": record["modelseal"],
        "rules": [
            {
                "id": rule,
                "name": rule.capitalize(),
                "shortDescription": {"text": title},
                "fullDescription": {"text": tell_meaning(record, rule)},
                "help": {"text": advice},
                "defaultConfiguration": {"level": LEVELS[rule]},
            }
            for rule, (title, advice) in RULES.items()
        ],
    }


def describe_run(record: Record) -> dict[str, object]:
    """How the check ended; one that could not decide did not do its work."""
    return {
        "executionSuccessful": record["outcome"] != "undecided",
        "exitCode": CODES[record["outcome"]],
        "exitCodeDescription": record["outcome"],
        "endTimeUtc": record["time"],
    }


def describe_results(record: Record) -> list[dict[str, object]]:
    """What was found; nothing if the model is intact."""
    outcome = record["outcome"]
    if outcome not in RULES:
        return []
    same = digest(outcome, identify(record))
    place = {
        "physicalLocation": {
            "artifactLocation": {"uri": address(record["fingerprint"]), "index": 0},
            # The place is a file without lines, but code scanning shows nothing without one.
            "region": {"startLine": 1},
        },
        "logicalLocations": [{"fullyQualifiedName": record["endpoint"], "kind": "resource"}],
    }
    return [
        {
            "ruleId": outcome,
            "ruleIndex": list(RULES).index(outcome),
            "kind": "fail",
            "level": LEVELS[outcome],
            "message": {"text": plain(f"{record['endpoint']}: {record['reason']}")},
            "locations": [place],
            # The second is the only one that GitHub compares.
            "fingerprints": {"modelseal/1": same},
            "partialFingerprints": {"primaryLocationLineHash": f"{same[:16]}:1"},
            "properties": {"evidence": record["evidence"], **state_statistics(record)},
        }
    ]


def plain(text: str) -> str:
    r"""A text as that of a message, in which brackets are links and braces are placeholders.

    Sections 3.11.5 and 3.11.6 say how they are written where they are neither.

    Examples:
        >>> print(plain("outputs[0]: {} came"))
        outputs\[0\]: {{}} came
    """
    escaped = re.sub(r"([\\\[\]])", r"\\\1", text)
    return escaped.replace("{", "{{").replace("}", "}}")


def identify(record: Record) -> str:
    """The same text for every check of one sealed model behind one endpoint."""
    return digest(record["weights_digest"], record["endpoint"])


def digest(*parts: str) -> str:
    """A digest of texts, of whatever characters they are."""
    return sha256("\n".join(parts).encode(errors="surrogatepass")).hexdigest()


def address(file: str) -> str:
    """A file's path as a reference: relative as it was given, or an address if it is absolute.

    Examples:
        >>> address("my seals/out.seal")
        'my%20seals/out.seal'
        >>> address("/srv/out.seal")
        'file:///srv/out.seal'
    """
    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix(), errors="surrogatepass")
