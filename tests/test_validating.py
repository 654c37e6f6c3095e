import pytest
from pydantic import Field, ValidationError

from modelseal.errors import BadFileError
from modelseal.settings import Section, first_problem, read_lines, read_settings


class Leaf(Section):
    size: int
    name: str = ""


class Whole(Section):
    one: Leaf
    some: list[Leaf] = Field(default=[])
    named: dict[str, list[Leaf]] = Field(default={})
    maybe: Leaf | None = None
    pair: tuple[tuple[int, ...], ...] = ()
    words: list[str] = Field(default=[])


ONE = {"one": {"size": 1}}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (
            {"on": {"size": 1}},
            ("unknown key; there is only one, some, named, maybe, pair, words", "on"),
        ),
        ({**ONE, "some": [{}]}, ("is missing", "some[0].size")),
        (
            {**ONE, "some": [{"size": 1}, {"sizes": 1}]},
            ("unknown key; there is only size, name", "some[1].sizes"),
        ),
        (
            {**ONE, "named": {"a": [{"size": 1, "nam": 2}]}},
            ("unknown key; there is only size, name", "named.a[0].nam"),
        ),
        (
            {**ONE, "maybe": {"size": 1, "nam": 2}},
            ("unknown key; there is only size, name", "maybe.nam"),
        ),
        (
            {**ONE, "some": {"size": 1}},
            ("needs tables, each under [[some]], but is a single one under [some]", "some"),
        ),
        (
            {**ONE, "named": {"a": {"size": 1}}},
            (
                "needs tables, each under [[named.a]], but is a single one under [named.a]",
                "named.a",
            ),
        ),
        ({**ONE, "words": {"a": 1}}, ("needs a valid list, but is {'a': 1}", "words")),
        ({"one": {"size": "1"}}, ("needs a valid integer, but is '1'", "one.size")),
    ],
)
def test_the_first_problem_has_its_sentence_and_its_place(given, problem):
    with pytest.raises(ValidationError, match="validation error") as caught:
        Whole.model_validate(given)
    assert first_problem(caught.value, Whole) == problem


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "x.toml: cannot be read: No such file or directory"),
        (b"[one", "x.toml: is no TOML: "),
        (b"\xff", "x.toml: is no TOML: "),
        (b"[one]\nsize = 1\nnam = 2\n", r"x.toml: one.nam: unknown key; there is only size, name"),
    ],
)
def test_a_file_of_settings_that_cannot_be_used_is_one_sentence(tmp_path, content, problem):
    path = tmp_path / "x.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadFileError, match=problem):
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
    with pytest.raises(BadFileError, match=r"names.txt: is no text: invalid start byte"):
        read_lines(path)
    with pytest.raises(BadFileError, match="cannot be read: No such file"):
        read_lines(tmp_path / "none.txt")
