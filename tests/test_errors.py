import pickle
import re

import pytest

from modelseal import errors
from modelseal.errors import (
    BadFileError,
    EndpointError,
    EvaluationError,
    InvalidArgumentError,
    MissingExtraError,
    ModelsealError,
    NotAppliedError,
    PassingError,
    SealingError,
)

ALL = [
    BadFileError("a.seal", "it is empty"),
    EndpointError("no answer came"),
    InvalidArgumentError("1 was wanted, but 2 came"),
    MissingExtraError("sealing", "seal"),
    SealingError("no sample was accepted"),
    NotAppliedError("the backdoor did not take"),
    EvaluationError("trial of small: its code raised"),
    PassingError("status 503 came", wait=2.5),
    BadFileError("a.seal", "is missing", field="origin.seed"),
    InvalidArgumentError("is negative", field="margins[3]"),
    PassingError("the server is busy", wait=1.5),
]


def kinds(kind=ModelsealError):
    """The names of all errors below one."""
    below = kind.__subclasses__()
    return {each.__name__ for each in below} | {name for each in below for name in kinds(each)}


def test_every_error_is_tried_and_drawn_in_the_tree():
    assert {type(each).__name__ for each in ALL} == kinds()
    assert set(re.findall(r"(?:├|└)── (\w+)", errors.__doc__)) == kinds()


@pytest.mark.parametrize("error", ALL, ids=lambda error: type(error).__name__)
def test_an_error_comes_back_from_another_process_as_it_was(error):
    twin = pickle.loads(pickle.dumps(error))  # noqa: S301 (our own bytes)
    assert (type(twin), str(twin)) == (type(error), str(error))
    assert (twin.args, vars(twin)) == (error.args, vars(error))


@pytest.mark.parametrize(
    "error", [EndpointError("busy"), PassingError("busy", wait=2.5)], ids=["lasting", "passing"]
)
def test_a_fault_of_an_endpoint_stays_what_it_is_when_its_place_is_told(error):
    told = error.at("http://host")
    assert (type(told), str(told), vars(told)) == (type(error), "http://host: busy", vars(error))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            BadFileError("a.seal", "is missing", field="origin.seed"),
            "a.seal: origin.seed: is missing",
        ),
        (BadFileError("a.seal", "is empty"), "a.seal: is empty"),
        (InvalidArgumentError("is negative", field="margins[3]"), "margins[3]: is negative"),
        (InvalidArgumentError("is negative"), "is negative"),
    ],
)
def test_an_error_keeps_its_problem_apart_from_the_path_to_the_field(error, text):
    assert str(error) == text
    assert text.endswith(error.problem)
    assert f"{error.field}: {error.problem}" in text if error.field else ": :" not in text


def test_a_missing_extra_says_how_to_install_it():
    error = MissingExtraError("sealing", "seal")
    assert str(error) == 'sealing needs an extra: pip install "modelseal[seal]"'
    assert error.extra == "seal"
