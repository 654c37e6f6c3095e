import re

import pytest

from modelseal.display import Table
from modelseal.reports.build import lay_out, write_report, write_table
from modelseal.reports.plots import Figure
from modelseal.reports.tables import TABLES

PICTURE = Figure(name="a-b", title="Curve", note="Higher is worse.", png=b"", light=b"", dark=b"")


@pytest.mark.parametrize("name", TABLES)
def test_a_table_for_documents_has_a_head_and_lines_of_the_same_number_of_cells(whole, name):
    head, rule, *lines = write_table(whole, name).splitlines()
    counts = {len(re.split(r"(?<!\\)\|", line)) for line in (head, rule, *lines)}
    assert len(counts) == 1
    assert set(rule) == set("| -")
    assert len(lines) == len(TABLES[name](whole).rows)


def test_a_table_without_anything_to_tell_says_so(poor):
    assert write_table(poor[0], "detection") == "Nothing of it was measured.\n"


def test_foreign_text_stays_text_and_in_its_cell():
    table = Table(title="", note="", head=("a",), rows=(("x|y\n<b> [z](u) *w* \\",),))
    assert lay_out(table).splitlines()[2] == r"| x\|y &lt;b> \[z](u) \*w\* \\ |"


def test_a_report_has_every_table_under_its_heading_and_every_figure_by_its_file(whole, poor):
    text = write_report((whole, poor[0]), ((PICTURE,), ()))
    assert text.count("\n## ") == 2
    for make in TABLES.values():
        assert f"\n### {make(whole).title}\n" in text
    assert "![Curve](figures/a-b.png)" in text
    assert "Higher is worse." in text


def test_an_unknown_table_is_a_key_error(whole):
    with pytest.raises(KeyError, match="nothing-like-it"):
        write_table(whole, "nothing-like-it")
