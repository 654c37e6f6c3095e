import pytest
from recorded_verdicts import INTACT, TAMPERED, UNDECIDED, build_record

from modelseal.verification.documents import tell_meaning
from modelseal.verification.sarif import write_sarif
from modelseal.verification.verdict_page import write_verdict

STATISTICS = {"queries": 24}


def test_a_check_of_a_part_does_not_speak_of_every_sample():
    whole = tell_meaning(build_record(*INTACT), "intact")
    part = tell_meaning(build_record(*INTACT, samples=3, asked=2), "intact")
    assert "Every sample of this check" in whole
    assert "not measured" not in whole
    assert part.endswith("It is about 2 of 3 samples; what these alone notice was not measured.")


@pytest.mark.parametrize(
    ("findings", "sealed", "enrolled"),
    [
        (INTACT, "as the sealed model answers it", "the answer that was enrolled is still"),
        (TAMPERED, "tried at sealing", "changed since the enrolment"),
        (UNDECIDED, "missing or malformed", "as many questions as are allowed settled nothing"),
    ],
)
def test_an_enrolled_deployment_is_compared_with_its_enrolment_in_every_form(
    findings, sealed, enrolled
):
    for more, there, away in (({}, sealed, enrolled), ({"statistics": STATISTICS}, enrolled, None)):
        record = build_record(*findings, **more)
        forms = [" ".join(write_verdict(record).decode().split())]
        forms += [write_sarif(record).decode()] if findings is not INTACT else []
        for form in forms:
            assert there in form
            assert away is None or away not in form
