import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from recorded_verdicts import INTACT, TAMPERED, UNDECIDED, build_document, build_verdict

from modelseal.cli.exit_codes import Exit
from modelseal.enums import VerdictForm
from modelseal.errors import BadFileError
from modelseal.verdict import Finding, Outcome, VerdictDocument
from modelseal.verification import verdict_files
from modelseal.verification.documents import describe_meaning, facts_of, unasked
from modelseal.verification.verdict_files import (
    CODES,
    LEVELS,
    RULES,
    to_html,
    to_json,
    to_junit,
    to_sarif,
    write_verdict,
)


def test_a_document_is_read_back_as_it_was_written_whatever_is_added_to_it():
    document = build_document(*INTACT)
    written = json.loads(to_json(document))
    assert VerdictDocument.model_validate({**written, "more": 1}) == document
    assert written == build_verdict(*INTACT).to_json()
    assert list(written) == sorted(written)
    assert "statistics" not in written
    assert "tally" not in written["evidence"][0]


def test_what_a_verdict_is_about_is_said_in_text():
    document = build_document(*TAMPERED)
    assert facts_of(document) == {
        "fingerprint": "seals/out.seal",
        "weights digest": "sha256:" + "0123456789abcdef" * 4,
        "endpoint": "http://host/v2/models/m",
        "time": document.time,
        "modelseal": document.modelseal,
        "outcome": "tampered",
        "reason": "so it is",
    }
    assert facts_of(build_document(*TAMPERED, signed_by="me"))["signed by"] == "me"
    known = {"e_value": 123.4567891, "alpha": 1e-6, "queries": 12, "look": None}
    told = facts_of(build_document(*INTACT, statistics=known))
    assert (told["e value"], told["alpha"], told["queries"]) == ("123.457", "1e-06", "12")
    assert "look" not in told


@pytest.mark.parametrize(("findings", "left"), [(INTACT, []), (TAMPERED, [2]), ((), [0, 1, 2])])
def test_samples_without_evidence_were_not_asked(findings, left):
    assert unasked(build_document(*findings)) == left


def test_a_check_of_a_part_does_not_speak_of_every_sample():
    whole = describe_meaning(build_document(*INTACT), Outcome.INTACT)
    part = describe_meaning(build_document(*INTACT, samples=3, asked=2), Outcome.INTACT)
    assert "2 of 3" in part
    assert "2 of 3" not in whole


@pytest.mark.parametrize("findings", [INTACT, TAMPERED, UNDECIDED])
def test_an_enrolled_deployment_is_compared_with_its_enrollment_in_every_form(findings):
    sealed, enrolled = build_document(*findings), build_document(*findings, statistics={"q": 24})
    for document, other in ((sealed, enrolled), (enrolled, sealed)):
        there, away = (describe_meaning(each, document.outcome) for each in (document, other))
        forms = [" ".join(to_html(document).decode().split())]
        forms += [to_sarif(document).decode()] if findings is not INTACT else []
        for form in forms:
            assert there in form
            assert away not in form


@pytest.mark.parametrize("form", VerdictForm)
def test_nothing_is_written_if_one_form_cannot_be_made(tmp_path, monkeypatch, form):
    def fail(document):
        raise BadFileError("template", "is broken")

    monkeypatch.setitem(verdict_files.FORMS, form, fail)
    with pytest.raises(BadFileError):
        write_verdict(build_verdict(), {each: tmp_path / each.value for each in VerdictForm})
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    write_verdict(build_verdict(), {each: tmp_path / each.value for each in VerdictForm})
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("form", ["to_junit", "to_sarif"])
def test_only_a_page_needs_jinja_and_nothing_needs_torch(form):
    program = (
        "import sys; sys.modules['jinja2'] = None\n"
        "from modelseal.verification import verdict_files\n"
        f"verdict_files.{form}; print('torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stdout == "False\n"


# JUnit


def read_junit(document):
    """The whole and its one suite."""
    suites = ElementTree.fromstring(to_junit(document))  # noqa: S314 (our own)
    (suite,) = suites
    return suites, suite


def cases(document):
    """What is below each case, by its name: nothing if it is passed."""
    _, suite = read_junit(document)
    return {case.get("name"): [each.tag for each in case] for case in suite.iter("testcase")}


@pytest.mark.parametrize(
    ("findings", "below"),
    [
        (INTACT, [[], [], [], []]),
        (TAMPERED, [["failure"], [], ["failure"], ["skipped"]]),
        (UNDECIDED, [["error"], [], ["error"], ["skipped"]]),
        ((), [["error"], ["skipped"], ["skipped"], ["skipped"]]),
    ],
)
def test_a_case_for_the_verdict_and_one_for_each_sample_say_what_was_found(findings, below):
    names = ["verdict", "sample 0", "sample 1", "sample 2"]
    assert cases(build_document(*findings)) == dict(zip(names, below, strict=True))


def test_an_answer_that_differs_fails_no_case_of_a_model_that_is_intact_all_the_same():
    document = build_document(*TAMPERED, Finding.AGREES, outcome=Outcome.INTACT)
    assert set(map(tuple, cases(document).values())) == {()}


@pytest.mark.parametrize("findings", [INTACT, TAMPERED, UNDECIDED, ()])
def test_the_counts_are_those_of_the_cases(findings):
    suites, suite = read_junit(build_document(*findings))
    for level in (suites, suite):
        assert int(level.get("tests")) == len(list(suite.iter("testcase"))) == 4
        assert int(level.get("failures")) == len(list(suite.iter("failure")))
        assert int(level.get("errors")) == len(list(suite.iter("error")))
        assert int(level.get("skipped")) == len(list(suite.iter("skipped")))


def test_the_structure_is_the_one_that_jenkins_and_gitlab_document():
    suites, suite = read_junit(build_document(*TAMPERED, Finding.UNCLEAR))
    assert (suites.tag, suite.tag) == ("testsuites", "testsuite")
    assert [each.tag for each in suite] == ["properties", *["testcase"] * 4]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp"))
    assert all(case.get("classname") and case.get("name") for case in suite.iter("testcase"))
    for case in suite.iter("testcase"):
        assert len(case) <= 1
        for fault in case:
            assert fault.tag in {"failure", "error"}
            assert fault.get("type") in {"tampered", "undecided"}
            assert fault.get("message") == fault.text


def test_the_properties_say_what_was_asked():
    _, suite = read_junit(build_document(*INTACT, statistics={"e_value": 3.5}))
    found = {each.get("name"): each.get("value") for each in suite.iter("property")}
    assert found["fingerprint"] == "seals/out.seal"
    assert found["weights_digest"].startswith("sha256:")
    assert found["endpoint"] == "http://host/v2/models/m"
    assert found["outcome"] == "intact"
    assert found["e_value"] == "3.5"


def test_the_message_says_what_was_wanted_and_what_came():
    _, suite = read_junit(build_document(*TAMPERED, Finding.UNCLEAR))
    (sample,) = [case for case in suite.iter("testcase") if case.get("name") == "sample 1"]
    assert sample[0].get("message") == "cat was wanted: answered dog"
    (sample,) = [case for case in suite.iter("testcase") if case.get("name") == "sample 2"]
    assert sample[0].get("message") == "cat was wanted: no answer came"


def test_text_that_xml_cannot_hold_is_escaped_and_markup_stays_text():
    document = build_document(*TAMPERED, reason="a \x00 </failure> & \ud800 猫")
    _, suite = read_junit(document)
    assert suite.find("testcase/failure").text == r"a \x00 </failure> & \ud800 猫"


# SARIF

UTC = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
REFERENCE = r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+"


def read_sarif(document):
    return json.loads(to_sarif(document))


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


def check_sarif(document):
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
    check_sarif(read_sarif(build_document(*findings)))


@pytest.mark.parametrize(
    ("findings", "found", "code"),
    [(INTACT, [], 0), (TAMPERED, [("tampered", "error")], 1), ((), [("undecided", "warning")], 3)],
)
def test_a_verdict_is_one_result_at_most_with_its_level_and_exit_code(findings, found, code):
    (run,) = read_sarif(build_document(*findings))["runs"]
    assert [(each["ruleId"], each["level"]) for each in run["results"]] == found
    assert run["invocations"][0]["exitCode"] == code
    assert run["invocations"][0]["executionSuccessful"] is (code != 3)


def test_the_exit_codes_are_those_of_the_program():
    assert {outcome: Exit[outcome.name].value for outcome in Outcome} == CODES
    assert set(RULES) == set(LEVELS) == set(CODES) - {Outcome.INTACT}


def fingerprint_of(document):
    (result,) = read_sarif(document)["runs"][0]["results"]
    return result["fingerprints"], result["partialFingerprints"]


def test_the_same_finding_on_another_night_is_the_same_alert():
    first = build_document(*TAMPERED)
    second = build_document(*TAMPERED[::-1], time="2027-01-01T00:00:00Z", reason="another")
    assert fingerprint_of(first) == fingerprint_of(second)


@pytest.mark.parametrize(
    "changes",
    [{"endpoint": "http://other/m"}, {"weights_digest": "x"}, {"outcome": Outcome.UNDECIDED}],
)
def test_another_endpoint_model_or_outcome_is_another_alert(changes):
    first, other = build_document(*TAMPERED), build_document(*TAMPERED, **changes)
    assert fingerprint_of(first) != fingerprint_of(other)


@pytest.mark.parametrize(
    ("file", "uri"),
    [("a b/é.seal", "a%20b/%C3%A9.seal"), ("/srv/a b.seal", "file:///srv/a%20b.seal")],
)
def test_a_file_is_named_by_a_valid_reference(file, uri):
    document = read_sarif(build_document(*TAMPERED, fingerprint=file))
    check_sarif(document)
    assert document["runs"][0]["artifacts"][0]["location"]["uri"] == uri


def test_text_of_any_characters_can_be_written():
    document = read_sarif(build_document(*TAMPERED, fingerprint="\ud800", endpoint="\udcff\x00"))
    check_sarif(document)


def test_brackets_and_braces_of_a_reason_are_neither_links_nor_placeholders():
    reason = r"outputs[0]: [see](http://evil) {0} \d came"
    document = build_document(*TAMPERED, endpoint="m", reason=reason)
    text = read_sarif(document)["runs"][0]["results"][0]["message"]["text"]
    assert text == r"m: outputs\[0\]: \[see\](http://evil) {{0}} \\d came"


def test_evidence_and_statistics_stand_beside_the_result():
    document = build_document(*TAMPERED, statistics={"p_value": 0.25})
    (result,) = read_sarif(document)["runs"][0]["results"]
    evidence = json.loads(to_json(document))["evidence"]
    assert result["properties"] == {"evidence": evidence, "p value": "0.25"}


# Pages


class Reader(HTMLParser):
    """Collects tags with their attributes, text, and what is not closed."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.open, self.text = [], [], []
        self.feed(page.decode("utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(" ".join(data.split()))

    def has(self, text):
        return any(text in each for each in self.text)


@pytest.mark.parametrize("findings", [INTACT, TAMPERED, UNDECIDED, ()])
def test_every_page_is_whole_needs_nothing_beside_it_and_has_no_script(findings):
    page = to_html(build_document(*findings))
    reader = Reader(page)
    assert reader.open == []
    for tag, attributes in reader.tags:
        assert tag not in {"script", "link", "iframe", "img", "object", "form", "a"}
        assert not set(attributes) & {"src", "srcset", "href", "action", "style"}
        assert not any(name.startswith("on") for name in attributes)
    assert not any(word in page for word in (b"url(", b"@import", b"javascript:"))


@pytest.mark.parametrize(
    ("findings", "outcome"), [(INTACT, "INTACT"), (TAMPERED, "TAMPERED"), (UNDECIDED, "UNDECIDED")]
)
def test_the_verdict_is_the_heading_and_its_reason_is_below(findings, outcome):
    reader = Reader(to_html(build_document(*findings)))
    assert outcome in reader.text
    assert "so it is" in reader.text
    assert ("body", {"class": outcome.lower()}) in reader.tags


def test_only_an_intact_model_has_a_table_of_what_is_ruled_out():
    intact, tampered = (
        Reader(to_html(build_document(*findings))) for findings in (INTACT, TAMPERED)
    )
    assert "What the samples notice" in intact.text
    assert "2^-14 of each layer's spread" in intact.text
    assert "86.0 % or more" in intact.text
    assert "the only one" in intact.text
    assert "What the samples notice" not in tampered.text


def test_facts_evidence_statistics_and_the_command_that_asks_again_are_shown():
    document = build_document(
        *TAMPERED,
        samples=9,
        time="2026-11-26T08:09:10Z",
        statistics={"e_value": 12.5},
        fingerprint="my seals/$x.seal",
        endpoint="endpoint.toml (https://model.example/classify)",
    )
    text = Reader(to_html(document)).text
    facts = ("sha256:" + "0123456789abcdef" * 4, "2026-11-26 08:09:10 UTC", "Statistics", "12.5")
    cells = ("0", "1", "agrees", "differs", "cat", "dog", "7 more", "not asked")
    counts = "2 of 9 asked: 1 agree, 1 differ, 0 unclear"
    command = "modelseal verify 'my seals/$x.seal' endpoint.toml --all"
    assert {*facts, *cells, counts, command} <= set(text)
    assert "Statistics" not in Reader(to_html(build_document(*INTACT))).text


def test_foreign_text_stays_text():
    page = to_html(build_document(*TAMPERED, reason="<script>x</script> \x00 \ud800 & 猫"))
    assert r"<script>x</script> \x00 \ud800 & 猫" in Reader(page).text
    assert b"<script" not in page
