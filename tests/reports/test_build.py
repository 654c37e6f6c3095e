import json
import re
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from refusals import refuses

from modelseal.errors import BadFileError
from modelseal.evaluation.results import Exhibit
from modelseal.reports.build import (
    assemble,
    check_folder,
    dump,
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
from modelseal.tabular import Table


def test_what_is_written_is_read_again_to_the_last_bit_and_is_json(whole, poor, tmp_path):
    file = tmp_path / "tables.json"
    file.write_bytes(dump((whole, *poor)))
    assert load(file) == (whole, *poor)
    assert dump(load(file)) == file.read_bytes()
    # pytest.fail is met at a number that is not finite.
    content = json.loads(file.read_bytes(), parse_constant=pytest.fail)
    assert content["summaries"][0]["detections"][0]["share"]["whole"] == 24
    with pytest.raises(BadFileError, match="cannot be read: No such file"):
        load(tmp_path / "missing.json")


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
    assert seen == [("draw", 0, 1), ("draw", 1, 1)]
    shown = Exhibit(sample=np.zeros((4, 4), np.uint8), natural=None)
    made = assemble(poor[2:3], exhibits={("resnet20", "top1"): {"boundary": (shown,)}})
    assert "figures/resnet20-top1-samples.png" in made
    odd = replace(poor[0], network="a/b c", spec="topk:5")
    assert "figures/a-b-c-topk-5-margins.png" in assemble((odd,))


@pytest.mark.parametrize("name", TABLES)
def test_a_table_for_documents_has_a_head_and_lines_of_the_same_number_of_cells(whole, poor, name):
    head, rule, *lines = write_table(whole, name).splitlines()
    counts = {len(re.split(r"(?<!\\)\|", line)) for line in (head, rule, *lines)}
    assert len(counts) == 1
    assert set(rule) == set("| -")
    table = TABLES[name](whole)
    assert len(lines) == len(table.rows)
    text = write_report((whole, poor[0]), ((FIGURE,), ()))
    assert f"\n### {table.title}\n" in text
    assert "![A <i>curve</i>](figures/a.png)" in text
    assert write_table(poor[0], "detection") == "Nothing of it was measured.\n"


def test_foreign_text_stays_text_and_in_its_cell():
    table = Table(title="", note="", head=("a",), rows=(("x|y\n<b> [z](u) *w* \\",),))
    assert lay_out(table).splitlines()[2] == r"| x\|y &lt;b> \[z](u) \*w\* \\ |"


FIGURE = Figure(
    name="a", title="A <i>curve</i>", note="Up.", png=b"", light=b"<svg>1</svg>", dark=b"<svg/>"
)


class Reader(HTMLParser):
    """Collects tags with their attributes, text, and what is not closed."""

    def __init__(self):
        super().__init__()
        self.tags, self.open, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "source"}:
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


def test_the_page_needs_nothing_beside_it_and_no_script(reader, page):
    assert reader.open == []
    for tag, attributes in reader.tags:
        assert tag not in {"script", "link", "iframe"}
        for name in ("src", "srcset", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/svg+xml;base64,"))
        assert not any(name.startswith("on") for name in attributes)
    assert "url(" not in page
    assert "@import" not in page
    (light,) = [each["src"] for tag, each in reader.tags if tag == "img"]
    (dark,) = [each for tag, each in reader.tags if tag == "source"]
    assert b64decode(light.partition(",")[2]) == FIGURE.light
    assert b64decode(dark["srcset"].partition(",")[2]) == FIGURE.dark
    assert dark["media"] == "(prefers-color-scheme: dark)"


def test_every_cell_is_there_and_foreign_text_stays_text(reader, page, whole):
    assert "it did <b>not</b> take | at all" in reader.text
    assert "A <i>curve</i>" in reader.text
    assert "<b>" not in page
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


def put(folder, files):
    folder.mkdir()
    for name, data in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)


def content(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.mark.parametrize("old", [None, {}, {**FILES, "figures/old.svg": b"old"}])
def test_a_new_or_empty_folder_is_filled_and_an_older_report_replaced(tmp_path, source, old):
    folder = tmp_path / "report"
    if old is not None:
        put(folder, old)
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
    put(folder, foreign)
    with pytest.raises(BadFileError, match="report: expected a new"):
        publish(folder, FILES, source=source)
    assert content(folder) == foreign


@pytest.mark.parametrize("name", [".", "report", "a/../report"])
def test_a_report_never_goes_into_what_it_is_made_of(source, name, monkeypatch):
    with pytest.raises(BadFileError, match=r"outside .*results"):
        check_folder(source / name, source=source)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(BadFileError, match="is write-protected"):
        check_folder(source.parent / "report", source=source)


@pytest.mark.parametrize(
    ("method", "failing"),
    [("write_bytes", ("",)), ("rename", (".new",)), ("rename", (".new", ".old"))],
)
def test_the_old_report_is_never_lost(tmp_path, source, monkeypatch, method, failing):
    folder = tmp_path / "report"
    publish(folder, FILES, source=source)
    act = getattr(Path, method)

    def fail(self, *given):
        if self.name.endswith(failing):
            raise OSError(28, "No space left on device")
        return act(self, *given)

    with monkeypatch.context() as broken:
        broken.setattr(Path, method, fail)
        with pytest.raises(BadFileError, match="No space left on device"):
            publish(folder, {**FILES, "report.md": b"two"}, source=source)
    # Where it cannot even come back it stays under another name.
    (kept,) = (each for each in tmp_path.iterdir() if each != source)
    assert content(kept) == FILES
    assert (kept == folder) == (".old" not in failing)
