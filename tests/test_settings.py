import json
from dataclasses import dataclass

import pytest
from pydantic import Field
from refusals import refuses

from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.settings import Section, parse_json, read_lines, read_settings


@dataclass(frozen=True, kw_only=True)
class Checked:
    low: float
    high: float

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise InvalidArgumentError("expected order", field="high")


class Leaf(Section):
    size: int
    name: str = Field(default="", max_length=9)


class Whole(Section):
    one: Leaf
    some: list[Leaf] = Field(default=[])
    named: dict[str, list[Leaf]] = Field(default={})
    maybe: Leaf | None = None
    pair: tuple[Checked, ...] = ()
    words: list[str] = Field(default=[])


ONE = {"one": {"size": 1}}
LEAVES = "unknown key, expected one of size, name"


@pytest.mark.parametrize(
    ("given", "field", "problem"),
    [
        ({"on": {"size": 1}}, "on", "expected one of one, some, named, maybe, pair, words"),
        ({**ONE, "some": [{}]}, "some[0].size", "is missing"),
        ({**ONE, "some": [{"size": 1}, {"sizes": 1}]}, "some[1].sizes", LEAVES),
        ({**ONE, "named": {"a": [{"size": 1, "nam": 2}]}}, "named.a[0].nam", LEAVES),
        ({**ONE, "maybe": {"size": 1, "nam": 2}}, "maybe.nam", LEAVES),
        ({**ONE, "pair": [{"low": 0, "mid": 1}]}, "pair[0].mid", "expected one of low, high"),
        ({**ONE, "pair": [{"low": 2, "high": 1}]}, "pair[0].high", "expected order"),
        ({**ONE, "pair": [{"low": 2}]}, "pair[0].high", "is missing"),
        ({**ONE, "some": {"size": 1}}, "some", r"expected tables, each under \[\[some\]\]"),
        ({**ONE, "named": {"a": {"size": 1}}}, "named.a", r"under \[\[named.a\]\]"),
        ({**ONE, "words": {"a": 1}}, "words", "expected a valid (list|array), got {'a': 1}$"),
        ({"one": {"size": "1"}}, "one.size", "expected a valid integer, got '1'$"),
        ({"one": {"size": "1" * 99}}, "one.size", r"got '1{59}\.\.\.$"),
        ({"one": {"size": 1, "name": "0123456789"}}, "one.name", "expected at most 9 characters"),
    ],
)
def test_the_first_problem_has_its_sentence_and_its_place(given, field, problem):
    with refuses(BadFileError, field=field, file="a.json") as caught:
        parse_json(Whole, json.dumps(given), name="a.json")
    caught.match(problem)


@pytest.mark.parametrize(
    ("content", "field"),
    [(None, ""), (b"[one", ""), (b"\xff", ""), (b"[one]\nsize = 1\nnam = 2\n", "one.nam")],
)
def test_a_file_of_settings_that_cannot_be_used_is_one_sentence(tmp_path, content, field):
    path = tmp_path / "x.toml"
    if content is not None:
        path.write_bytes(content)
    with refuses(BadFileError, field=field, file=path):
        read_settings(path, Whole)


def test_a_file_of_settings_is_read_as_values(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text('[one]\nsize = 1\nname = "a"\n')
    assert read_settings(path, Whole).one == Leaf(size=1, name="a")


def test_lines_are_read_without_spaces_around_them(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text(" cat\ndog \r\n\n", encoding="utf-8")
    assert read_lines(path) == ("cat", "dog", "")
    path.write_bytes(b"\xff")
    with refuses(BadFileError, file=path):
        read_lines(path)
    with refuses(BadFileError, file=tmp_path / "none.txt"):
        read_lines(tmp_path / "none.txt")
