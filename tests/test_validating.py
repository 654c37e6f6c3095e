import pytest
from pydantic import Field, ValidationError

from modelseal.validating import Section, first_problem


class Leaf(Section):
    size: int
    name: str = ""


class Whole(Section):
    one: Leaf
    some: list[Leaf] = Field(default=[])
    named: dict[str, list[Leaf]] = Field(default={})
    maybe: Leaf | None = None
    pair: tuple[tuple[int, ...], ...] = ()


ONE = {"one": {"size": 1}}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"on": {"size": 1}}, ("unknown key; there is only one, some, named, maybe, pair", "on")),
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
        ({"one": {"size": "1"}}, ("needs a valid integer, but is '1'", "one.size")),
    ],
)
def test_the_first_problem_has_its_sentence_and_its_place(given, problem):
    with pytest.raises(ValidationError, match="validation error") as caught:
        Whole.model_validate(given)
    assert first_problem(caught.value, Whole) == problem
