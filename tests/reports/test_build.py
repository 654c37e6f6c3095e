import json
import re
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from refusals import refuses

from modelseal.display import Table
from modelseal.errors import BadFileError
from modelseal.evaluation.gallery import Exhibit
from modelseal.reports.build import (
    assemble,
    check_folder,
    dump,
    file_name,
    is_archive,
    lay_out,
    load,
    publish,
    write_page,
    write_report,
    write_table,
)
from modelseal.reports.plots import Figure
from modelseal.reports.tables import TABLES, list_tables


def test_what_is_written_is_read_again_to_the_last_bit(whole, poor, tmp_path):
    file = tmp_path / "tables.json"
    file.write_bytes(dump((whole, *poor)))
    assert load(file) == (whole, *poor)
    assert dump(load(file)) == file.read_bytes()


def test_it_is_json_of_which_every_number_is_finite(whole, poor):
    def refuse(name):
        raise AssertionError(name)

    content = json.loads(dump((whole, *poor)), parse_constant=refuse)
    assert content["kind"] == "modelseal report"
    assert content["summaries"][0]["detections"][0]["share"]["whole"] == 24


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", ""),
        ("{", ""),
        ("[]", ""),
        ('{"kind": "another", "version": 1, "summaries": []}', "kind"),
        ('{"kind": "modelseal report", "version": 2, "summaries": []}', "version"),
        ('{"kind": "modelseal report", "summaries": [{}]}', "summaries.0.network"),
    ],
)
def test_another_file_is_refused_by_the_field_that_is_wrong(tmp_path, text, field):
    file = tmp_path / "tables.json"
    file.write_text(text)
    with refuses(BadFileError, field=field):
        load(file)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(BadFileError, match="cannot be read: No such file"):
        load(tmp_path / "tables.json")


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ('{"kind": "modelseal report", "version": 9}', True),
        ('{"kind": "other"}', False),
        ("[1]", False),
        ("nothing", False),
        ("[" * 100_000, False),
    ],
)
def test_a_report_of_any_version_is_known_as_one(tmp_path, text, known):
    file = tmp_path / "tables.json"
    file.write_text(text)
    assert is_archive(file) is known
    assert not is_archive(tmp_path / "missing")


def test_a_report_has_a_page_a_text_all_numbers_and_every_figure_twice(poor):
    seen = []
    made = assemble(poor[:1], progress=lambda *step: seen.append(step))
    pictures = {f"figures/resnet20-top1-margins{suffix}" for suffix in (".png", ".svg")}
    assert set(made) == {"report.md", "report.html", "tables.json", *pictures}
    assert made["tables.json"] == dump(poor[:1])
    assert "(figures/resnet20-top1-margins.png)" in made["report.md"].decode()
    assert seen == [("draw", 0, 1), ("draw", 1, 1)]


def test_samples_are_shown_only_if_they_are_given(poor):
    shown = Exhibit(sample=np.zeros((4, 4), np.uint8), natural=None)
    exhibits = {("resnet20", "top1"): {"boundary": (shown,)}}
    assert "figures/resnet20-top1-samples.png" in assemble(poor[2:3], exhibits=exhibits)
    assert not any("samples" in name for name in assemble(poor[2:3]))


def test_file_names_have_nothing_that_a_file_system_or_a_shell_minds(whole):
    from dataclasses import replace

    assert file_name(whole) == "resnet20-top1"
    assert file_name(replace(whole, network="a/b c", spec="topk:5")) == "a-b-c-topk-5"


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


FIGURE = Figure(
    name="a", title="A <i>curve</i>", note="Up.", png=b"", light=b"<svg>1</svg>", dark=b"<svg/>"
)
VOID = {"meta", "img", "source"}


class Reader(HTMLParser):
    """Collects tags with their attributes, text, and what is not closed."""

    def __init__(self):
        super().__init__()
        self.tags, self.open, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data.strip())


@pytest.fixture(scope="module")
def page(whole, poor):
    return write_page((whole, *poor), ((FIGURE,), *[()] * len(poor)))


@pytest.fixture(scope="module")
def reader(page):
    found = Reader()
    found.feed(page)
    return found


def test_every_tag_is_closed(reader):
    assert reader.open == []


def test_the_page_needs_nothing_beside_it_and_no_script(reader, page):
    for tag, attributes in reader.tags:
        assert tag not in {"script", "link", "iframe"}
        for name in ("src", "srcset", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/svg+xml;base64,"))
        assert not any(name.startswith("on") for name in attributes)
    assert "url(" not in page
    assert "@import" not in page


def test_figures_are_inside_light_and_dark(reader):
    (light,) = [each["src"] for tag, each in reader.tags if tag == "img"]
    (dark,) = [each for tag, each in reader.tags if tag == "source"]
    assert b64decode(light.partition(",")[2]) == FIGURE.light
    assert b64decode(dark["srcset"].partition(",")[2]) == FIGURE.dark
    assert dark["media"] == "(prefers-color-scheme: dark)"


def test_foreign_text_stays_text(reader, page):
    assert "it did <b>not</b> take | at all" in reader.text
    assert "A <i>curve</i>" in reader.text
    assert "<b>" not in page


def test_every_cell_of_every_table_is_there(reader, whole):
    for table in list_tables(whole):
        for row in (table.head, *table.rows):
            assert set(row) <= set(reader.text)


def test_every_link_leads_somewhere_and_every_place_has_its_own_name(reader):
    places = [each["id"] for _, each in reader.tags if "id" in each]
    links = [each["href"][1:] for tag, each in reader.tags if tag == "a"]
    assert len(places) == len(set(places))
    assert set(links) < set(places)


def test_the_page_fits_a_phone_and_a_dark_room(reader, page):
    metas = [each for tag, each in reader.tags if tag == "meta"]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in metas
    assert {"name": "color-scheme", "content": "light dark"} in metas
    tables = len(re.findall("<table>", page))
    assert tables == len(re.findall('<div class="scroll"[^>]*><table>', page)) > 0


FILES = {"tables.json": dump(()), "report.md": b"one", "figures/a.png": b"dots"}


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


def content(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.mark.parametrize("exists", ["missing", "empty"])
def test_a_new_or_empty_folder_is_filled(tmp_path, source, exists):
    folder = tmp_path / "report"
    if exists == "empty":
        folder.mkdir()
    publish(folder, FILES, source=source)
    assert content(folder) == FILES
    assert sorted(tmp_path.iterdir()) == [folder, source]


def test_an_older_report_is_replaced_as_a_whole(tmp_path, source):
    folder = tmp_path / "report"
    publish(folder, {**FILES, "figures/old.svg": b"old"}, source=source)
    publish(folder, {**FILES, "report.md": b"two"}, source=source)
    assert content(folder) == {**FILES, "report.md": b"two"}
    assert sorted(tmp_path.iterdir()) == [folder, source]


@pytest.mark.parametrize(
    "foreign",
    [
        {"notes.txt": b"mine"},
        {**FILES, "notes.txt": b"mine"},
        {**FILES, "figures/notes.txt": b"mine"},
        {**FILES, "tables.json": b"{}"},
        {"report.md": b"mine"},
    ],
)
def test_a_folder_with_anything_of_somebody_else_is_left_alone(tmp_path, source, foreign):
    folder = tmp_path / "report"
    for name, data in foreign.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    with pytest.raises(BadFileError, match="report: expected a new"):
        publish(folder, FILES, source=source)
    assert content(folder) == foreign


@pytest.mark.parametrize("name", [".", "report", "a/../report"])
def test_a_report_never_goes_into_what_it_is_made_of(source, name):
    with pytest.raises(BadFileError, match=r"outside .*results"):
        check_folder(source / name, source=source)


def test_the_folder_above_must_be_writable(tmp_path, source, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(BadFileError, match="is write-protected"):
        check_folder(tmp_path / "report", source=source)


def test_the_old_report_stays_if_the_new_one_cannot_be_written(tmp_path, source, monkeypatch):
    folder = tmp_path / "report"
    publish(folder, FILES, source=source)

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(Path, "write_bytes", fail)
        with pytest.raises(BadFileError, match="No space left on device"):
            publish(folder, {"report.md": b"two"}, source=source)
    assert content(folder) == FILES
    assert sorted(tmp_path.iterdir()) == [folder, source]


def test_the_old_report_comes_back_if_the_new_one_cannot_take_its_place(
    tmp_path, source, monkeypatch
):
    folder = tmp_path / "report"
    publish(folder, FILES, source=source)
    rename = Path.rename

    def fail(self, target):
        if self.name.endswith(".new"):
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(BadFileError, match="Input/output error"):
        publish(folder, {**FILES, "report.md": b"two"}, source=source)
    assert content(folder) == FILES
    assert sorted(tmp_path.iterdir()) == [folder, source]


def test_an_old_report_that_cannot_come_back_is_not_thrown_away(tmp_path, source, monkeypatch):
    folder = tmp_path / "report"
    publish(folder, FILES, source=source)
    rename = Path.rename

    def fail(self, target):
        if self.name.endswith((".new", ".old")):
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(BadFileError, match="Input/output error"):
        publish(folder, {**FILES, "report.md": b"two"}, source=source)
    (kept,) = (each for each in tmp_path.iterdir() if each != source)
    assert content(kept) == FILES
