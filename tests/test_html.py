from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelseal.html import valid


@given(st.text(st.characters(exclude_categories=[])))
def test_an_xml_reader_takes_any_text_and_gives_it_back(text):
    kept = valid(text)
    written = ElementTree.tostring(ElementTree.Element("e", a=kept), encoding="utf-8")
    came = ElementTree.fromstring(written).attrib["a"]  # noqa: S314 (our own)
    # A reader takes every end of a line in an attribute for what is written there.
    assert came.replace("\r", "\n") == kept.replace("\r", "\n")


@pytest.mark.parametrize(
    ("text", "kept"),
    [("\0", r"\x00"), ("\x1b", r"\x1b"), ("\ud800", r"\ud800"), ("\uffff", r"\uffff")],
)
def test_what_cannot_be_held_is_shown_by_its_number(text, kept):
    assert valid(text) == kept
