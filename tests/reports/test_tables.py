from dataclasses import replace

import pytest
from evaluated import samples, trial

from modelseal.evaluation.metrics import summarise
from modelseal.reports.tables import TABLES, list_tables
from modelseal.tabular import NOTHING


def cells(table, row):
    """The cells of the line that begins so, by the names of their columns."""
    found = [each for each in table.rows if each[0] == row]
    assert len(found) == 1
    return dict(zip(table.head, found[0], strict=True))


@pytest.mark.parametrize("name", TABLES)
def test_every_line_is_as_long_as_the_head(whole, poor, name):
    assert TABLES[name](whole).rows
    for summary in (whole, *poor):
        table = TABLES[name](summary)
        assert {len(row) for row in table.rows} <= {len(table.head)}
        assert all(all(row) for row in table.rows)


def test_only_tables_with_something_to_tell_are_listed(poor):
    bare, noisy, none, *_ = poor
    assert [table.title for table in list_tables(bare)] == ["Samples and their cost"]
    assert "Not applied" in [table.title for table in list_tables(noisy)]
    assert list_tables(none) == ()


@pytest.fixture
def small():
    noise = {"name": "noise"}
    sets = [
        samples(picks={"manc": ((0, 1), (2, 3)), "random": ((1, 0),)}, alarms={"a": 0, "b": 1}),
        samples("natural", psnr=(float("inf"),) * 4, work=0.0),
    ]
    trials = [
        trial("1100"),
        trial("1000", "natural"),
        trial("1111", **noise, level=1.0),
        trial("0000", **noise, level=0.5),
        trial("0000", "natural", **noise, level=1.0),
        trial("1000", "natural", **noise, level=0.5),
        trial("1111", name="bit", level=31.0),
        trial("0000", name="bit", level=31.0, effect=0.0),
    ]
    (found,) = summarise(sets, trials, samples=2)
    return found


def test_the_overview_has_the_figures_of_each_method(small):
    table = TABLES["overview"](small)
    ours, natural = cells(table, "boundary"), cells(table, "natural")
    assert ours["one sample detects, mean"] == "50 %"
    assert ours["worst row"] == "50 % (ftal)"
    assert ours["missed by 2, manc"] == "1 of 2"
    assert ours["missed by 2, random"] == "0 of 1"
    # Of four images of which one notices, two miss every other time.
    assert ours["natural images that match one sample"] == "2"
    assert ours["false alarms"] == "1 of 8"
    assert natural["natural images that match one sample"] == NOTHING
    assert natural["missed by 2, random"] == NOTHING


def test_detection_stands_in_the_row_of_its_change_and_the_column_of_its_method(small):
    table = TABLES["detection"](small)
    assert cells(table, "ftal") == {
        "change": "ftal",
        "boundary": "50 %",
        "natural": "25 %",
        "changed networks": "1",
    }
    assert "boundary 4, natural 4" in table.note


def test_missed_sets_are_told_by_every_rule_for_ours_and_by_the_first_for_others(small):
    table = TABLES["missed"](small)
    assert table.head == ("change", "boundary, manc", "boundary, random", "natural, manc")
    assert cells(table, "ftal")["boundary, manc"] == "1 of 2"
    table = TABLES["missing"](small)
    assert table.head == ("method", "chosen by", "1", "2")
    assert table.rows[0] == ("boundary", "manc", "50 %", "50 %")
    row = cells(TABLES["samples"](small), "natural")
    assert (row["PSNR, median"], row["work"]) == ("infinite", "0")


def test_the_smallest_change_is_a_level_or_said_not_to_be_reached(small):
    table = TABLES["smallest"](small)
    assert table.head == ("method", "chosen by", "noise")
    assert table.rows == (
        ("boundary", "manc", "2^0"),
        ("boundary", "random", "2^0"),
        ("natural", "manc", "not even the largest"),
    )


def test_bits_are_told_with_and_without_flips_that_change_nothing(small):
    row = TABLES["bits"](small).rows[0]
    assert row[:6] == ("boundary", "manc", "50 % of 4", "100 % of 2", NOTHING, NOTHING)


def test_false_alarms_end_with_all_of_them_and_their_bound(small):
    table = TABLES["alarms"](replace(small, skipped=(("on-cuda", "there is no device"),)))
    assert [row[0] for row in table.rows] == ["a", "b", "batch 1", "all", "at most"]
    assert cells(table, "all")["boundary"] == "1 of 8"
    assert cells(table, "a")["natural"] == NOTHING
    assert cells(table, "at most")["natural"] == "75 % (rule of three)"
    assert table.note.endswith("upper bound. Not run: on-cuda (there is no device).")


def test_a_lost_level_follows_the_rows_of_the_comparison(small):
    table = TABLES["comparison"](small)
    assert table.rows == (
        ("ftal", "50 %", "25 %", "natural", "+25.0"),
        ("noise", "50 %", "12 %", "natural", "+37.5"),
        ("noise 2^-1", "0 %", "25 %", "natural", "-25.0"),
    )
