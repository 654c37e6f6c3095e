from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelseal.endpoints.http import LONGEST, read_retry_after

NOW = datetime(2026, 11, 26, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        (" 7 ", 7.0),
        ("60", 60.0),
        ("61", 60.0),
        ("9" * 5000, 60.0),
        ("Thu, 26 Nov 2026 12:00:05 GMT", 5.0),
        ("Thursday, 26-Nov-26 12:00:05 GMT", 5.0),
        ("Thu Nov 26 12:00:05 2026", 5.0),
        ("Thu, 26 Nov 2026 13:00:05 +0100", 5.0),
        ("Thu, 26 Nov 2026 11:59:00 GMT", 0.0),
        ("Fri, 27 Nov 2026 12:00:00 GMT", 60.0),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("soon", None),
        ("Thu, 99 Nov 2026 12:00:05 GMT", None),
    ],
)
def test_seconds_and_dates_are_read_and_held_within_bounds(text, seconds):
    assert read_retry_after(text, now=NOW) == seconds


def test_the_zone_of_now_makes_no_difference():
    there = NOW.astimezone(timezone(timedelta(hours=-5)))
    assert read_retry_after("Thu, 26 Nov 2026 12:00:05 GMT", now=there) == 5.0


@given(st.text())
def test_no_text_breaks_it_or_is_waited_for_beyond_the_limit(text):
    assert 0 <= (read_retry_after(text, now=NOW) or 0.0) <= LONGEST
