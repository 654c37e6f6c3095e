from math import inf, nan

import pytest

from modelseal import tabular
from modelseal.intervals import bound_above


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 %"),
        (1e-9, "< 1 %"),
        (0.004, "< 1 %"),
        (0.006, "1 %"),
        (0.5, "50 %"),
        (0.994, "99 %"),
        (0.9951, "> 99 %"),
        (1.0, "100 %"),
    ],
)
def test_only_nothing_is_0_and_only_all_is_100_per_cent(value, text):
    assert tabular.percent(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.000234, "0.023 %"), (0.099, "9.9 %"), (0.0, "0 %"), (1.0, "100 %")]
)
def test_small_shares_keep_two_digits(value, text):
    assert tabular.small_percent(value) == text


@pytest.mark.parametrize(
    ("part", "text"), [(0, "0.015 % (rule of three)"), (1, "0.024 % (Clopper-Pearson)")]
)
def test_a_bound_says_where_it_comes_from(part, text):
    assert tabular.bound(bound_above(part, 20_000)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "2^0"),
        (0.5, "2^-1"),
        (2.0**-20, "2^-20"),
        (31.0, "31"),
        (0.3, "0.3"),
        (0.0, "0"),
        (inf, "inf"),
    ],
)
def test_levels_are_powers_of_two_where_they_are(value, text):
    assert tabular.level(value) == text


@pytest.mark.parametrize(
    ("change", "level", "text"),
    [("ftal", None, "ftal"), ("noise", 0.125, "noise 2^-3"), ("bit", 1.0, "bit 1")],
)
def test_a_row_has_its_level_and_bits_are_numbers(change, level, text):
    assert tabular.row(change, level) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (43.21, "43.2"), (12345.6, "12,346"), (inf, "infinite"), (nan, tabular.NOTHING)],
)
def test_numbers_have_three_digits_and_infinity_a_word(value, text):
    assert tabular.number(value) == text
