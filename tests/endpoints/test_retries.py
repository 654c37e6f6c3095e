import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelseal.endpoints.endpoint import ask_with_retries, back_off
from modelseal.errors import EndpointError, PassingError
from modelseal.outputs.answers import Answers, Kind

CODES = np.arange(6, dtype=np.uint8).reshape(1, 6)
ANSWER = Answers(kind=Kind.LABELS, labels=np.array([[3]]))


class Scripted:
    """Does what a script says, one entry for each question, and spoils what it is given."""

    def __init__(self, *script):
        self.script = list(script)
        self.asked = []

    def ask(self, codes):
        self.asked.append(codes.tolist())
        codes[:] = 0
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step


def ask(endpoint, *, waits=(1.0, 2.0, 4.0), rest=None):
    rested = []

    def note(seconds):
        rested.append(seconds)
        return True

    return ask_with_retries(endpoint, CODES, waits=waits, rest=rest or note), rested


def test_faults_that_pass_are_waited_for_and_the_same_question_comes_again():
    endpoint = Scripted(PassingError("busy"), PassingError("busy"), ANSWER)
    assert ask(endpoint) == (ANSWER, [1.0, 2.0])
    assert endpoint.asked == [CODES.tolist()] * 3


def test_a_fault_that_does_not_pass_is_the_last_after_so_many_waits():
    endpoint = Scripted(*(PassingError(f"busy {number}") for number in range(9)))
    with pytest.raises(PassingError, match="busy 3"):
        ask(endpoint)
    assert len(endpoint.asked) == 4


@pytest.mark.parametrize("fault", [EndpointError("malformed"), ZeroDivisionError("a bug")])
def test_no_other_fault_is_followed_by_a_question(fault):
    endpoint = Scripted(fault, ANSWER)
    with pytest.raises(type(fault), match=str(fault)):
        ask(endpoint)
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize(("asked", "waited"), [(None, 1.0), (0.0, 1.0), (0.5, 1.0), (9.0, 9.0)])
def test_whoever_asks_for_more_time_gets_it(asked, waited):
    endpoint = Scripted(PassingError("busy", wait=asked), ANSWER)
    assert ask(endpoint)[1] == [waited]


def test_the_fault_stands_if_there_is_no_time_to_wait():
    endpoint = Scripted(PassingError("busy"), ANSWER)
    with pytest.raises(PassingError, match="busy"):
        ask(endpoint, rest=lambda _: False)
    assert len(endpoint.asked) == 1


@given(retries=st.integers(0, 100), seed=st.integers(0, 2**32))
def test_waits_double_on_the_average_up_to_a_limit(retries, seed):
    waits = list(back_off(retries, np.random.default_rng(seed)))
    assert len(waits) == retries
    for number, wait in enumerate(waits):
        mean = min(0.25 * 2**number, 30.0)
        assert 0.5 * mean <= wait <= 1.5 * mean


def test_clients_that_were_turned_away_together_do_not_come_back_together():
    waits = {next(back_off(1, np.random.default_rng(seed))) for seed in range(50)}
    assert len(waits) == 50
