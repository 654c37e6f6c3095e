import re
from base64 import b64decode
from html.parser import HTMLParser

import pytest

from modelseal.reports.build import write_page
from modelseal.reports.plots import Figure
from modelseal.reports.tables import list_tables

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
