import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.checks import (
    check_column,
    check_digest,
    check_each,
    check_moment,
    check_parameter,
    check_range,
    check_text,
    form_of,
)
from modelseal.outputs.specs import TopLabels


@pytest.mark.parametrize(
    ("text", "problem"), [("", "an empty one came"), ("\ud800", r"valid Unicode was wanted")]
)
def test_a_text_that_cannot_be_written_is_refused(text, problem):
    with pytest.raises(InvalidArgumentError, match=f"^a.b: .*{problem}"):
        check_text(text, field="a.b")


@pytest.mark.parametrize("value", ["a", "é", 0, -(2**63), 2**63 - 1, 0.0, -1.5e300])
def test_texts_whole_and_finite_numbers_are_parameters(value):
    assert check_parameter(value, field="a") is None


@pytest.mark.parametrize(
    "value", [True, None, 2**63, np.nan, np.inf, "", "\udfff", [1], np.int64(3), b"a"]
)
def test_nothing_else_is_a_parameter(value):
    with pytest.raises(InvalidArgumentError, match=r"^a: "):
        check_parameter(value, field="a")


@pytest.mark.parametrize("value", [-1, 3, True, 1.5, 1.0])
def test_what_is_out_of_range_is_refused(value):
    with pytest.raises(InvalidArgumentError, match=f"from 0 to 2 was wanted, but {value} came"):
        check_range(value, range(3), field="a")


@pytest.mark.parametrize(
    "text",
    ["", "sha256:", "0" * 64, "md5:" + "0" * 64, "sha256:" + "A" * 64, "sha256:" + "0" * 65],
)
def test_what_is_no_digest_is_refused(text):
    with pytest.raises(InvalidArgumentError, match="64 lower-case hexadecimal digits were wanted"):
        check_digest(text, field="a")


@given(st.datetimes())
def test_every_moment_in_utc_is_one(moment):
    check_moment(moment.strftime("%Y").zfill(4) + moment.strftime("-%m-%dT%H:%M:%SZ"), field="a")


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23",
        "2026-11-23T10:00:00",
        "2026-11-23 10:00:00Z",
        "2026-11-23T10:00:00.5Z",
        "2026-11-23T10:00:00+00:00",
        "2026-02-30T10:00:00Z",
        "2026-11-23T25:00:00Z",
        "２026-11-23T10:00:00Z",  # noqa: RUF001
    ],
)
def test_every_other_way_to_write_a_moment_is_refused(text):
    with pytest.raises(InvalidArgumentError, match="a moment such as"):
        check_moment(text, field="a")


@pytest.mark.parametrize(
    ("column", "kind", "problem"),
    [
        (np.zeros(2), "f", "3 floating-point numbers were wanted"),
        (np.zeros((3, 1)), "f", r"of shape \(3, 1\)"),
        (np.zeros(3, int), "f", "type int64 came"),
        (np.zeros(3), "iu", "3 whole numbers were wanted"),
    ],
)
def test_a_column_of_another_shape_or_type_is_refused(column, kind, problem):
    with pytest.raises(InvalidArgumentError, match=problem):
        check_column(column, 3, kind=kind, field="a")


def test_the_first_wrong_number_is_named_with_its_place():
    numbers = np.array([[1, 2], [3, 9], [9, 9]])
    with pytest.raises(InvalidArgumentError, match=r"^a\[1\]\[1\]: few was wanted, but 9 came"):
        check_each(numbers < 9, numbers, wanted="few", field="a")


@pytest.mark.parametrize("classes", [0, -1, 1_000_001, 2**60])
def test_an_absurd_number_of_classes_is_refused_before_memory_is_asked_for(classes):
    with pytest.raises(InvalidArgumentError, match=r"^classes: a whole number from 1 to 1000000"):
        form_of(TopLabels(), classes)
