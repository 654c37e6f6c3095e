import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelseal.endpoints.endpoint import ask_in_groups
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.outputs.answers import Answers, Kind


@given(count=st.integers(1, 20), size=st.integers(0, 7))
def test_groups_have_the_fixed_size_and_answers_keep_the_order(count, size):
    sizes = []

    def ask(codes):
        sizes.append(len(codes))
        return Answers(kind=Kind.SCORES, values=codes.astype(float))

    codes = np.arange(count, dtype=np.uint8)[:, None]
    shown = ask_in_groups(ask, codes, size=size)
    assert shown.values.tolist() == codes.tolist()
    assert set(sizes) == {size or count}
    assert sum(sizes) - count < max(size, 1)


def test_no_inputs_are_refused_before_anyone_is_asked():
    with pytest.raises(InvalidArgumentError, match="at least one input is needed"):
        ask_in_groups(pytest.fail, np.zeros((0, 2), np.uint8), size=3)


def test_groups_that_answer_in_another_form_are_refused():
    widths = iter((2, 3))

    def ask(codes):
        return Answers(kind=Kind.SCORES, values=np.zeros((len(codes), next(widths))))

    with pytest.raises(EndpointError, match="one form"):
        ask_in_groups(ask, np.zeros((2, 1), np.uint8), size=1)
