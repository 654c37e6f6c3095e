import re
from xml.etree import ElementTree

import pytest
from recorded_verdicts import INTACT, TAMPERED, UNDECIDED, build_record

from modelseal.verdict import Finding
from modelseal.verification.junit import write_junit


def read(record):
    """The whole and its one suite."""
    suites = ElementTree.fromstring(write_junit(record))  # noqa: S314 (our own)
    (suite,) = suites
    return suites, suite


def cases(record):
    """What is below each case, by its name: nothing if it is passed."""
    _, suite = read(record)
    return {case.get("name"): [each.tag for each in case] for case in suite.iter("testcase")}


def test_every_case_of_an_intact_model_is_passed():
    assert cases(build_record(*INTACT)) == {
        "verdict": [],
        "sample 0": [],
        "sample 1": [],
        "sample 2": [],
    }


def test_a_tampered_model_is_a_failure_and_so_is_the_sample_that_proves_it():
    assert cases(build_record(*TAMPERED)) == {
        "verdict": ["failure"],
        "sample 0": [],
        "sample 1": ["failure"],
        "sample 2": ["skipped"],
    }


def test_an_undecided_verdict_is_an_error_and_so_is_the_sample_without_an_answer():
    assert cases(build_record(*UNDECIDED)) == {
        "verdict": ["error"],
        "sample 0": [],
        "sample 1": ["error"],
        "sample 2": ["skipped"],
    }


def test_a_check_that_asked_nothing_is_never_green():
    suites, _ = read(build_record())
    assert (suites.get("errors"), suites.get("skipped")) == ("1", "3")
    assert cases(build_record())["verdict"] == ["error"]


def test_an_answer_that_differs_fails_no_case_of_a_model_that_is_intact_all_the_same():
    record = build_record(*TAMPERED, Finding.AGREES)
    assert set(map(tuple, cases({**record, "outcome": "intact"}).values())) == {()}


@pytest.mark.parametrize("findings", [INTACT, TAMPERED, UNDECIDED, ()])
def test_the_counts_are_those_of_the_cases(findings):
    suites, suite = read(build_record(*findings))
    for level in (suites, suite):
        assert int(level.get("tests")) == len(list(suite.iter("testcase"))) == 4
        assert int(level.get("failures")) == len(list(suite.iter("failure")))
        assert int(level.get("errors")) == len(list(suite.iter("error")))
        assert int(level.get("skipped")) == len(list(suite.iter("skipped")))


def test_the_structure_is_the_one_that_jenkins_and_gitlab_document():
    suites, suite = read(build_record(*TAMPERED, Finding.UNCLEAR))
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
    _, suite = read(build_record(*INTACT, statistics={"e_value": 3.5}))
    found = {each.get("name"): each.get("value") for each in suite.iter("property")}
    assert found["fingerprint"] == "seals/out.seal"
    assert found["weights_digest"].startswith("sha256:")
    assert found["endpoint"] == "http://host/v2/models/m"
    assert found["outcome"] == "intact"
    assert found["e_value"] == "3.5"


def test_the_message_says_what_was_wanted_and_what_came():
    _, suite = read(build_record(*TAMPERED, Finding.UNCLEAR))
    (sample,) = [case for case in suite.iter("testcase") if case.get("name") == "sample 1"]
    assert sample[0].get("message") == "cat was wanted: answered dog"
    (sample,) = [case for case in suite.iter("testcase") if case.get("name") == "sample 2"]
    assert sample[0].get("message") == "cat was wanted: no answer came"


def test_text_that_xml_cannot_hold_is_escaped_and_markup_stays_text():
    record = build_record(*TAMPERED, reason="a \x00 </failure> & \ud800 猫")
    _, suite = read(record)
    assert suite.find("testcase/failure").text == r"a \x00 </failure> & \ud800 猫"
