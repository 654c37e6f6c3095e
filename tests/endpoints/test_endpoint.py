from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refuses

from modelseal.domain import Domain
from modelseal.endpoints.auth import Credentials
from modelseal.endpoints.endpoint import (
    CallableEndpoint,
    ConnectedEndpoint,
    Endpoint,
    ask_in_batches,
)
from modelseal.errors import EndpointError, InvalidArgumentError, PassingError
from modelseal.outputs.answers import Answers, Kind

DOMAIN = Domain(shape=(2,), bounds=(0.0, 1.0))
CODES = np.array([[0, 255], [51, 102]], np.uint8)


def test_a_users_own_class_with_the_one_method_is_an_endpoint_and_nothing_else():
    class Constant:
        def ask(self, codes):
            return Answers(kind=Kind.LABELS, labels=np.zeros((len(codes), 1), np.int64))

    assert isinstance(Constant(), Endpoint)
    assert not isinstance(Path(), Endpoint)
    assert not isinstance(DOMAIN, Endpoint)


class Line:
    closed = 0

    def close(self):
        self.closed += 1


class Asked(ConnectedEndpoint[Line]):
    """Answers as its script says, one step for each batch."""

    def __init__(self, *script, size=0, **settings):
        super().__init__("me", DOMAIN, **{"timeout": 1.0, **settings})
        self.script, self.size = list(script), size
        self.lines = []

    def _open(self):
        self.lines.append(Line())
        return self.lines[-1]

    def _batch_size(self):
        return self.size

    def _ask_batch(self, codes):
        self._connect()
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step


LABELS = Answers(kind=Kind.LABELS, labels=np.array([[1], [0]]))


def test_one_connection_is_kept_until_it_is_closed_and_then_another_one():
    asked = Asked(LABELS, LABELS, LABELS)
    asked.ask(CODES)
    asked.ask(CODES)
    asked.close()
    asked.close()
    assert [line.closed for line in asked.lines] == [1]
    with asked:
        asked.ask(CODES)
    assert [line.closed for line in asked.lines] == [1, 1]


@pytest.mark.parametrize("fault", [EndpointError("a marker"), PassingError("a marker", wait=2.0)])
def test_a_fault_names_the_endpoint_and_hides_its_secrets(fault):
    asked = Asked(fault, credentials=Credentials(secrets=frozenset({"marker"})))
    with pytest.raises(type(fault), match=r"^me: a \*\*\*$") as caught:
        asked.ask(CODES)
    assert getattr(caught.value, "wait", None) == getattr(fault, "wait", None)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("codes", [CODES[:, :1], CODES[:0], CODES.astype(np.float32)])
def test_wrong_inputs_are_the_callers_mistake_and_nobody_is_asked(codes):
    asked = Asked()
    with refuses(InvalidArgumentError):
        asked.ask(codes)
    assert asked.lines == []


@pytest.mark.parametrize("timeout", [0.0, -1.0, np.inf, np.nan])
def test_a_timeout_is_a_positive_number_of_seconds(timeout):
    with refuses(InvalidArgumentError, field="timeout"):
        Asked(timeout=timeout)


@given(count=st.integers(1, 20), size=st.integers(0, 7))
def test_batches_have_the_fixed_size_and_answers_keep_the_order(count, size):
    sizes = []

    def ask(codes):
        sizes.append(len(codes))
        return Answers(kind=Kind.SCORES, values=codes.astype(float))

    codes = np.arange(count, dtype=np.uint8)[:, None]
    shown = ask_in_batches(ask, codes, size=size)
    assert shown.values.tolist() == codes.tolist()
    assert set(sizes) == {size or count}
    assert sum(sizes) - count < max(size, 1)


def test_the_function_gets_the_decoded_batch_and_its_scores_are_the_answer():
    seen = []

    def function(inputs):
        seen.append(inputs)
        return inputs * 2

    shown = CallableEndpoint(function, DOMAIN).ask(CODES)
    assert shown.kind is Kind.SCORES
    ((inputs,),) = [seen]
    assert inputs.dtype == np.float32
    assert np.array_equal(inputs, DOMAIN.decode(CODES))
    assert np.array_equal(shown.values, DOMAIN.decode(CODES) * 2)


@pytest.mark.parametrize("fault", [RuntimeError, ValueError])
def test_a_function_that_fails_gives_no_usable_answer(fault):
    def function(inputs):
        raise fault("mat1 and mat2 do not fit")

    with pytest.raises(EndpointError, match="mat1 and mat2 do not fit"):
        CallableEndpoint(function, DOMAIN).ask(CODES)


@pytest.mark.parametrize(
    "shown",
    [[[1.0, 2.0]], None, np.ones((2, 3), bool), np.ones((1, 3)), np.full((2, 3), np.nan)],
    ids=lambda shown: type(shown).__name__,
)
def test_what_is_neither_labels_nor_scores_is_refused(shown):
    with refuses(EndpointError):
        CallableEndpoint(lambda _: shown, DOMAIN).ask(CODES)
