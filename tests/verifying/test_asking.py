import threading
from threading import Event

import numpy as np
import pytest
import sealed

from modelseal.errors import EndpointError, PassingError
from modelseal.outputs.answers import Answers, Kind
from modelseal.verification.policy import Clock, Manners
from modelseal.verification.querier import Asker, Unasked

MADE = sealed.fingerprint(count=8)
BUSY = PassingError("busy")


class Time:
    """Time that passes only while somebody waits, or is said to."""

    def __init__(self):
        self.seconds = 100.0
        self.waits = []

    def wait(self, _, seconds):
        self.waits.append(seconds)
        self.seconds += seconds

    def clock(self):
        return Clock(now=lambda: self.seconds, wait=self.wait)


class Scripted:
    """Answers as expected, but first does what a script says."""

    def __init__(self, *script, time=None, lasts=0.0):
        self.script = list(script)
        self.moments = []
        self.time = time
        self.lasts = lasts

    def ask(self, codes):
        if self.time:
            self.moments.append(self.time.seconds)
            self.time.seconds += self.lasts
        step = self.script.pop(0) if self.script else None
        if isinstance(step, Exception):
            raise step
        number = [row.tobytes() for row in MADE.samples].index(codes[0].tobytes())
        return MADE.expected.take(np.array([number])) if step is None else step


def asker(endpoint, time=None, **manners):
    time = time or Time()
    generator = np.random.default_rng(0)
    settings = Manners(clock=time.clock(), **manners)
    return Asker(endpoint, MADE, manners=settings, generator=generator)


def test_an_answer_comes_as_the_endpoint_gave_it():
    answer = asker(Scripted()).ask(3)
    assert answer.labels.tolist() == MADE.expected.labels[[3]].tolist()


def test_a_fault_is_given_and_not_raised():
    fault = EndpointError("malformed")
    assert asker(Scripted(fault)).ask(3) is fault


def test_a_bug_of_the_endpoint_is_raised():
    with pytest.raises(ZeroDivisionError, match="a bug"):
        asker(Scripted(ZeroDivisionError("a bug"))).ask(3)


def test_faults_that_pass_are_retried_as_often_as_is_said_and_no_more():
    time = Time()
    assert isinstance(asker(Scripted(BUSY, BUSY, BUSY), time, retries=3).ask(0), Answers)
    assert len(time.waits) == 3
    assert asker(Scripted(BUSY, BUSY, BUSY), retries=2).ask(0) is BUSY


def test_a_wait_that_would_end_after_the_time_limit_is_not_begun():
    time = Time()
    fault = PassingError("busy", wait=10.0)
    assert asker(Scripted(fault), time, time_limit=9.0).ask(0) is fault
    assert time.waits == []


def test_after_the_time_limit_nothing_is_asked():
    time = Time()
    one = asker(endpoint := Scripted(time=time, lasts=6.0), time, time_limit=10.0)
    assert [type(one.ask(number)) for number in range(3)] == [Answers, Answers, Unasked]
    assert one.ask(3) is Unasked.TIME_OVER
    assert one.asked == [0, 1]
    assert len(endpoint.moments) == 2


def test_questions_are_paused_between_by_chance_with_the_mean_that_is_said():
    time = Time()
    one = asker(endpoint := Scripted(time=time), time, pace=5.0)
    for number in range(2000):
        one.ask(number % 8)
    pauses = np.diff(endpoint.moments)
    assert endpoint.moments[0] == 100.0
    assert 4.6 < pauses.mean() < 5.4
    assert pauses.std() > 4.0


def test_a_question_that_takes_long_is_followed_at_once():
    time = Time()
    one = asker(endpoint := Scripted(time=time, lasts=1000.0), time, pace=0.1)
    for number in range(5):
        one.ask(number)
    assert np.diff(endpoint.moments).tolist() == [1000.0] * 4


def test_a_pause_that_would_end_after_the_time_limit_is_not_begun():
    time = Time()
    one = asker(Scripted(time=time), time, pace=1e6, time_limit=10.0)
    assert isinstance(one.ask(0), Answers)
    assert one.ask(1) is Unasked.TIME_OVER
    assert (one.asked, time.waits) == ([0], [])


def test_after_the_end_nothing_is_asked_and_nobody_waits():
    begun = Event()
    one = Asker(Scripted(), MADE, manners=Manners(pace=1e6), generator=np.random.default_rng(0))
    assert isinstance(one.ask(0), Answers)
    came = []

    def ask():
        begun.set()
        came.append(one.ask(1))

    thread = threading.Thread(target=ask)
    thread.start()
    begun.wait(60)
    one.end()
    thread.join(60)
    assert came == [Unasked.ENDED]
    assert one.asked == [0]


def test_every_question_is_noted_with_its_answer_or_with_why_there_is_none():
    noted = []
    wrong = Answers(kind=Kind.LABELS, labels=np.array([[99]]))
    script = (None, EndpointError("malformed"), EndpointError(), wrong, ["junk"])
    one = asker(Scripted(*script), note=lambda *each: noted.append(each))
    for number in range(5):
        one.ask(number)
    assert [number for number, _ in noted] == [0, 1, 2, 3, 4]
    assert isinstance(noted[0][1], Answers)
    assert [str(error) for _, error in noted[1:]] == [
        "malformed",
        "no answer came",
        "labels 0 to 4 were wanted, but 99 came",
        "an answer was wanted, but a list came",
    ]


def test_an_answer_that_differs_is_noted_as_an_answer():
    noted = []
    wrong = Answers(kind=Kind.LABELS, labels=(MADE.expected.labels[[0]] + 1) % 5)
    asker(Scripted(wrong), note=lambda *each: noted.append(each)).ask(0)
    assert noted == [(0, wrong)]


def test_what_is_sent_beside_the_samples_is_not_noted():
    noted = []
    one = asker(Scripted(BUSY), note=lambda *each: noted.append(each))
    assert isinstance(one.send(MADE.samples[[2]]), Answers)
    assert (noted, one.asked) == ([], [])
