import json
import re

import pytest
from recorded_verdicts import INTACT, TAMPERED, UNDECIDED, build_record

from modelseal.cli.verify import CODES as EXIT_CODES
from modelseal.verification.sarif import CODES, LEVELS, RULES, write_sarif

UTC = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
REFERENCE = r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+"


def read(record):
    return json.loads(write_sarif(record))


def check_message(message):
    """Section 3.11: a text or an id, and text is plain."""
    assert isinstance(message["text"], str)
    assert message["text"]


def check_rule(rule):
    """Section 3.49: an id that is stable; messages have text; levels are of the enumeration."""
    assert re.fullmatch(r"[a-z]+", rule["id"])
    for part in ("shortDescription", "fullDescription", "help"):
        check_message(rule[part])
    assert rule["defaultConfiguration"]["level"] in {"none", "note", "warning", "error"}


def check_result(result, rules):
    """Section 3.27: a message; rule id and index agree; a level if the kind is fail."""
    check_message(result["message"])
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    assert result["kind"] == "fail"
    assert result["level"] in {"warning", "error"}
    for place in result["locations"]:
        physical = place["physicalLocation"]
        assert re.fullmatch(REFERENCE, physical["artifactLocation"]["uri"])
        assert physical["region"]["startLine"] >= 1
        assert all(each["fullyQualifiedName"] for each in place["logicalLocations"])
    for name in ("fingerprints", "partialFingerprints"):
        assert all(isinstance(value, str) and value for value in result[name].values())


def check_document(document):
    """What SARIF 2.1.0 requires of every object that is used here."""
    assert document["version"] == "2.1.0"
    assert document["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = document["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"]
    for rule in driver["rules"]:
        check_rule(rule)
    for call in run["invocations"]:
        assert isinstance(call["executionSuccessful"], bool)
        assert isinstance(call["exitCode"], int)
        assert re.fullmatch(UTC, call["endTimeUtc"])
    assert run["columnKind"] in {"utf16CodeUnits", "unicodeCodePoints"}
    assert run["automationDetails"]["id"].endswith("/")
    for result in run["results"]:
        check_result(result, driver["rules"])
        index = result["locations"][0]["physicalLocation"]["artifactLocation"]["index"]
        assert run["artifacts"][index]["location"]["uri"]


@pytest.mark.parametrize("findings", [INTACT, TAMPERED, UNDECIDED, ()])
def test_every_verdict_has_what_the_specification_requires(findings):
    check_document(read(build_record(*findings)))


@pytest.mark.parametrize(
    ("findings", "found", "code"),
    [(INTACT, [], 0), (TAMPERED, [("tampered", "error")], 1), ((), [("undecided", "warning")], 3)],
)
def test_a_verdict_is_one_result_at_most_with_its_level_and_exit_code(findings, found, code):
    (run,) = read(build_record(*findings))["runs"]
    assert [(each["ruleId"], each["level"]) for each in run["results"]] == found
    assert run["invocations"][0]["exitCode"] == code
    assert run["invocations"][0]["executionSuccessful"] is (code != 3)


def test_the_exit_codes_are_those_of_the_program():
    assert {outcome.value: int(code) for outcome, code in EXIT_CODES.items()} == CODES
    assert set(RULES) == set(LEVELS) == set(CODES) - {"intact"}


def fingerprint_of(record):
    (result,) = read(record)["runs"][0]["results"]
    return result["fingerprints"], result["partialFingerprints"]


def test_the_same_finding_on_another_night_is_the_same_alert():
    first = build_record(*TAMPERED)
    second = build_record(*TAMPERED[::-1], time="2027-01-01T00:00:00Z", reason="another")
    assert fingerprint_of(first) == fingerprint_of(second)


@pytest.mark.parametrize(
    "changes", [{"endpoint": "http://other/m"}, {"weights_digest": "x"}, {"outcome": "undecided"}]
)
def test_another_endpoint_model_or_outcome_is_another_alert(changes):
    first = build_record(*TAMPERED)
    assert fingerprint_of(first) != fingerprint_of({**first, **changes})


@pytest.mark.parametrize(
    ("file", "uri"),
    [("a b/é.seal", "a%20b/%C3%A9.seal"), ("/srv/a b.seal", "file:///srv/a%20b.seal")],
)
def test_a_file_is_named_by_a_valid_reference(file, uri):
    document = read(build_record(*TAMPERED, fingerprint=file))
    check_document(document)
    assert document["runs"][0]["artifacts"][0]["location"]["uri"] == uri


def test_text_of_any_characters_can_be_written():
    document = read(build_record(*TAMPERED, fingerprint="\ud800", endpoint="\udcff\x00"))
    check_document(document)


def test_brackets_and_braces_of_a_reason_are_neither_links_nor_placeholders():
    reason = r"outputs[0]: [see](http://evil) {0} \d came"
    record = build_record(*TAMPERED, endpoint="m", reason=reason)
    text = read(record)["runs"][0]["results"][0]["message"]["text"]
    assert text == r"m: outputs\[0\]: \[see\](http://evil) {{0}} \\d came"


def test_evidence_and_statistics_stand_beside_the_result():
    record = build_record(*TAMPERED, statistics={"p_value": 0.25})
    (result,) = read(record)["runs"][0]["results"]
    assert result["properties"] == {"evidence": record["evidence"], "p value": "0.25"}
