import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from recorded_verdicts import INTACT, TAMPERED, UNDECIDED, build_document, build_verdict

from modelseal.enums import VerdictForm
from modelseal.errors import BadFileError
from modelseal.verdict import Finding, Outcome, VerdictDocument
from modelseal.verification import verdict_files
from modelseal.verification.verdict_files import to_html, to_json, to_junit, to_sarif, write_verdict
from modelseal.verification.verdict_text import describe_meaning, facts_of

each_verdict = pytest.mark.parametrize("findings", [INTACT, TAMPERED, UNDECIDED, ()])


def test_a_document_is_read_back_as_it_was_written_whatever_is_added_to_it():
    document = build_document(*INTACT)
    written = json.loads(to_json(document))
    assert VerdictDocument.model_validate({**written, "more": 1}) == document
    assert written == build_verdict(*INTACT).to_json()
    assert list(written) == sorted(written)
    assert "statistics" not in written
    assert "tally" not in written["evidence"][0]


def test_numbers_of_a_test_are_facts_if_they_are_known():
    known = {"e_value": 123.4567891, "alpha": 1e-6, "queries": 12, "look": None}
    told = facts_of(build_document(*INTACT, statistics=known, signed_by="me"))
    assert (told["e value"], told["alpha"], told["queries"]) == ("123.457", "1e-06", "12")
    assert ("look" in told, told["signed by"]) == (False, "me")


def test_a_check_of_a_part_does_not_speak_of_every_sample():
    whole = describe_meaning(build_document(*INTACT), Outcome.INTACT)
    part = describe_meaning(build_document(*INTACT, samples=3, asked=2), Outcome.INTACT)
    assert ("2 of 3" in part, "2 of 3" in whole) == (True, False)


@pytest.mark.parametrize("findings", [INTACT, TAMPERED, UNDECIDED])
def test_an_enrolled_deployment_is_compared_with_its_enrollment_in_every_form(findings):
    sealed, enrolled = build_document(*findings), build_document(*findings, statistics={"q": 24})
    for document, other in ((sealed, enrolled), (enrolled, sealed)):
        there, away = (describe_meaning(each, document.outcome) for each in (document, other))
        forms = [" ".join(to_html(document).decode().split())]
        forms += [to_sarif(document).decode()] if findings is not INTACT else []
        assert all(there in form and away not in form for form in forms)


@pytest.mark.parametrize("form", VerdictForm)
def test_nothing_is_written_if_one_form_cannot_be_made(tmp_path, monkeypatch, form):
    def fail(document):
        raise BadFileError("template", "is broken")

    files = {each: tmp_path / each.value for each in VerdictForm}
    with monkeypatch.context() as patch:
        patch.setitem(verdict_files.FORMS, form, fail)
        with pytest.raises(BadFileError):
            write_verdict(build_verdict(), files)
    assert list(tmp_path.iterdir()) == []
    write_verdict(build_verdict(), files)
    assert len(list(tmp_path.iterdir())) == 4


# JUnit


def read_junit(document):
    """The whole and its one suite."""
    suites = ElementTree.fromstring(to_junit(document))  # noqa: S314 (our own)
    (suite,) = suites
    return suites, suite


@pytest.mark.parametrize(
    ("findings", "changes", "below"),
    [
        (INTACT, {}, [[], [], [], []]),
        (TAMPERED, {}, [["failure"], [], ["failure"], ["skipped"]]),
        (UNDECIDED, {}, [["error"], [], ["error"], ["skipped"]]),
        ((), {}, [["error"], ["skipped"], ["skipped"], ["skipped"]]),
        # An answer that differs now and then fails no case of a model that is intact all the same.
        ((*TAMPERED, Finding.AGREES), {"outcome": Outcome.INTACT}, [[], [], [], []]),
    ],
)
def test_the_verdict_and_each_sample_have_a_case_and_the_counts_are_theirs(
    findings, changes, below
):
    suites, suite = read_junit(build_document(*findings, **changes))
    names = ["verdict", "sample 0", "sample 1", "sample 2"]
    cases = {case.get("name"): [each.tag for each in case] for case in suite.iter("testcase")}
    assert cases == dict(zip(names, below, strict=True))
    for level in (suites, suite):
        assert level.get("tests") == "4"
        for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(level.get(name)) == len(list(suite.iter(tag)))


def test_properties_and_messages_say_what_was_asked_expected_and_shown():
    document = build_document(*TAMPERED, Finding.UNCLEAR, statistics={"e_value": 3.5})
    _, suite = read_junit(document)
    assert [each.tag for each in suite] == ["properties", *["testcase"] * 4]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp"))
    found = {each.get("name"): each.get("value") for each in suite.iter("property")}
    assert (found["fingerprint"], found["e_value"]) == ("seals/out.seal", "3.5")
    faults = [(f.get("type"), f.get("message"), f.text) for f in suite.iterfind("testcase/*")]
    texts = [
        "so it is",
        "expected cat, got dog",
        "expected cat, got no clear answer: no answer came",
    ]
    kinds = ["tampered", "tampered", "undecided"]
    assert faults == list(zip(kinds, texts, texts, strict=True))


def test_text_that_xml_cannot_hold_is_escaped_and_markup_stays_text():
    document = build_document(*TAMPERED, reason="a \x00 </failure> & \ud800 猫")
    _, suite = read_junit(document)
    assert suite.find("testcase/failure").text == r"a \x00 </failure> & \ud800 猫"


# SARIF

UTC = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
REFERENCE = r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+"


def read_sarif(document):
    """The run, once all that SARIF 2.1.0 requires of it is there."""
    whole = json.loads(to_sarif(document))
    assert whole["version"] == "2.1.0"
    assert whole["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = whole["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["name"]
    for rule in rules:  # section 3.49
        assert re.fullmatch(r"[a-z]+", rule["id"])
        assert all(rule[part]["text"] for part in ("shortDescription", "fullDescription", "help"))
        assert rule["defaultConfiguration"]["level"] in {"none", "note", "warning", "error"}
    for call in run["invocations"]:
        assert re.fullmatch(UTC, call["endTimeUtc"])
    assert run["columnKind"] in {"utf16CodeUnits", "unicodeCodePoints"}
    assert run["automationDetails"]["id"].endswith("/")
    for result in run["results"]:  # section 3.27
        assert isinstance(result["message"]["text"], str)
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert (result["kind"], result["level"]) in {("fail", "warning"), ("fail", "error")}
        (place,) = result["locations"]
        physical = place["physicalLocation"]
        assert re.fullmatch(REFERENCE, physical["artifactLocation"]["uri"])
        assert run["artifacts"][physical["artifactLocation"]["index"]]["location"]["uri"]
        assert physical["region"]["startLine"] >= 1
        assert all(each["fullyQualifiedName"] for each in place["logicalLocations"])
    return run


@pytest.mark.parametrize(
    ("findings", "found", "code"),
    [
        (INTACT, [], 0),
        (TAMPERED, [("tampered", "error")], 1),
        (UNDECIDED, [("undecided", "warning")], 3),
        ((), [("undecided", "warning")], 3),
    ],
)
def test_a_verdict_is_one_result_at_most_with_its_level_and_exit_code(findings, found, code):
    run = read_sarif(build_document(*findings))
    assert [(each["ruleId"], each["level"]) for each in run["results"]] == found
    assert run["invocations"][0]["exitCode"] == code
    assert run["invocations"][0]["executionSuccessful"] is (code != 3)


def fingerprint_of(document):
    (result,) = read_sarif(document)["results"]
    return result["fingerprints"], result["partialFingerprints"]


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"time": "2027-01-01T00:00:00Z", "reason": "another"}, True),
        ({"endpoint": "http://other/m"}, False),
        ({"weights_digest": "x"}, False),
        ({"outcome": Outcome.UNDECIDED}, False),
    ],
)
def test_only_another_endpoint_model_or_outcome_is_another_alert(changes, same):
    first, other = build_document(*TAMPERED), build_document(*TAMPERED[::-1], **changes)
    assert (fingerprint_of(first) == fingerprint_of(other)) is same


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("a b/é.seal", "a%20b/%C3%A9.seal"),
        ("/srv/a b.seal", "file:///srv/a%20b.seal"),
        ("\ud800", "%ED%A0%80"),
    ],
)
def test_a_file_is_named_by_a_valid_reference(file, uri):
    run = read_sarif(build_document(*TAMPERED, fingerprint=file, endpoint="\udcff\x00"))
    assert run["artifacts"][0]["location"]["uri"] == uri


def test_a_reason_is_plain_text_and_evidence_and_statistics_stand_beside_it():
    reason = r"outputs[0]: [see](http://evil) {0} \d came"
    document = build_document(*TAMPERED, endpoint="m", reason=reason, statistics={"p_value": 0.25})
    (result,) = read_sarif(document)["results"]
    text = result["message"]["text"]
    assert text == r"m: outputs\[0\]: \[see\](http://evil) {{0}} \\d came"
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


@each_verdict
def test_every_page_is_whole_needs_nothing_beside_it_and_has_no_script(findings):
    document = build_document(*findings)
    page = to_html(document)
    reader = Reader(page)
    assert reader.open == []
    for tag, attributes in reader.tags:
        assert tag not in {"script", "link", "iframe", "img", "object", "form", "a"}
        assert not set(attributes) & {"src", "srcset", "href", "action", "style"}
        assert not any(name.startswith("on") for name in attributes)
    assert not any(word in page for word in (b"url(", b"@import", b"javascript:"))
    outcome = document.outcome.value
    assert {outcome.upper(), "so it is"} <= set(reader.text)
    assert ("body", {"class": outcome}) in reader.tags


def test_only_an_intact_model_has_a_table_of_what_is_ruled_out():
    intact, tampered = (set(Reader(to_html(build_document(*f))).text) for f in (INTACT, TAMPERED))
    limits = {"2^-14 of each layer's spread", "86.0 % or more", "the only one"}
    assert intact >= {"What the samples notice"} | limits
    assert "What the samples notice" not in tampered
    assert "Statistics" not in intact


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


def test_foreign_text_stays_text():
    page = to_html(build_document(*TAMPERED, reason="<script>x</script> \x00 \ud800 & 猫"))
    assert r"<script>x</script> \x00 \ud800 & 猫" in Reader(page).text
    assert b"<script" not in page
