import threading
from dataclasses import replace
from threading import Event

import numpy as np
import pytest
import sealed
from noisy import Noisy
from refusals import refuses

from modelseal.errors import EndpointError, InvalidArgumentError, PassingError
from modelseal.outputs.answers import Answers, Kind
from modelseal.verdict import Finding
from modelseal.verification.querier import (
    Clock,
    Querier,
    QueryPolicy,
    Reply,
    Unasked,
    sample_and_neighbours,
)
from modelseal.verification.sequential import SequentialPolicy

MADE = sealed.fingerprint(count=8)
GUARDED = sealed.fingerprint(count=4, neighbours=sealed.NEIGHBOURS)
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
        codes[:] = 0  # an endpoint that spoils its input spoils nothing else
        return MADE.expected.take(np.array([number])) if step is None else step


def querier(endpoint, time=None, *, made=MADE, **settings):
    own = {name: settings.pop(name) for name in ("note", "inputs", "decoys") if name in settings}
    return Querier(
        endpoint=endpoint,
        fingerprint=made,
        policy=QueryPolicy(**settings),
        generator=np.random.default_rng(0),
        clock=(time or Time()).clock(),
        **own,
    )


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (QueryPolicy, "retries", -1),
        (QueryPolicy, "retries", 101),
        (QueryPolicy, "timeout", 0.0),
        (QueryPolicy, "timeout", np.inf),
        (QueryPolicy, "timeout", np.nan),
        (QueryPolicy, "pace", -0.1),
        (QueryPolicy, "pace", np.inf),
        (QueryPolicy, "pace", np.nan),
        (QueryPolicy, "time_limit", 0.0),
        (QueryPolicy, "time_limit", np.nan),
        (QueryPolicy, "concurrency", 0),
        (SequentialPolicy, "alpha", 0.0),
        (SequentialPolicy, "alpha", 1.0),
        (SequentialPolicy, "alpha", np.nan),
        (SequentialPolicy, "queries", 0),
        (SequentialPolicy, "look", 0),
    ],
)
def test_a_policy_out_of_its_range_is_refused_with_its_field(kind, field, value):
    with refuses(InvalidArgumentError, field=field):
        kind(**{field: value})


def test_faults_that_pass_are_retried_as_often_as_is_said_and_no_more():
    time = Time()
    assert not querier(Scripted(BUSY, BUSY, BUSY), time, retries=3).ask(0).silent
    assert len(time.waits) == 3
    assert querier(Scripted(BUSY, BUSY, BUSY), retries=2).ask(0).answer is BUSY


def test_a_wait_that_would_end_after_the_time_limit_is_not_begun():
    time = Time()
    fault = PassingError("busy", wait=10.0)
    assert querier(Scripted(fault), time, time_limit=9.0).ask(0).answer is fault
    assert time.waits == []


def test_after_the_time_limit_nothing_is_asked():
    time = Time()
    one = querier(endpoint := Scripted(time=time, lasts=6.0), time, time_limit=10.0)
    assert [type(one.ask(number)) for number in range(4)] == [Reply, Reply, Unasked, Unasked]
    assert (one.asked, len(endpoint.moments)) == ([0, 1], 2)


def test_queries_are_paused_between_by_chance_with_the_mean_that_is_said():
    time = Time()
    one = querier(endpoint := Scripted(time=time), time, pace=5.0)
    for number in range(2000):
        one.ask(number % 8)
    pauses = np.diff(endpoint.moments)
    assert endpoint.moments[0] == 100.0
    assert 4.6 < pauses.mean() < 5.4
    assert pauses.std() > 4.0


def test_after_the_end_nothing_is_asked_and_nobody_waits():
    begun, came = Event(), []
    one = replace(querier(Scripted(), pace=1e6), clock=Clock(), begun=None)
    assert isinstance(one.ask(0), Reply)

    def ask():
        begun.set()
        came.append(one.ask(1))

    thread = threading.Thread(target=ask)
    thread.start()
    begun.wait(5)
    one.end()
    thread.join(5)
    assert came == [Unasked.ENDED]
    assert one.asked == [0]


def test_every_sample_is_noted_with_its_answer_or_with_why_there_is_none():
    noted = []
    unknown = Answers(kind=Kind.LABELS, labels=np.array([[99]]))
    other = Answers(kind=Kind.LABELS, labels=(MADE.expected.labels[[5]] + 1) % 5)
    script = (None, EndpointError("malformed"), EndpointError(), unknown, ["junk"], other)
    one = querier(Scripted(*script), note=lambda *each: noted.append(each))
    for number in range(6):
        one.ask(number)
    assert [number for number, _ in noted] == list(range(6))
    assert isinstance(noted[0][1], Answers)
    reasons = [str(error) for _, error in noted[1:5]]
    assert reasons[:2] == ["malformed", "no answer came"]
    assert "99" in reasons[2]
    assert "list" in reasons[3]
    assert noted[5][1] is other


def test_decoys_are_numbered_after_the_samples_and_neither_judged_nor_noted():
    noted = []
    decoys = (MADE.samples[[2]], MADE.samples[[5]])
    one = querier(Scripted(), decoys=decoys, note=lambda *each: noted.append(each))
    before = [each.copy() for each in decoys]
    reply = one.ask(9)
    assert reply.answer.labels.tolist() == MADE.expected.labels[[5]].tolist()
    assert (reply.evidence, one.asked, noted) == (None, [9], [])
    assert all((a == b).all() for a, b in zip(decoys, before, strict=True))


def guarded(endpoint=None, time=None, **settings):
    endpoint = endpoint or Noisy(fingerprint=GUARDED)
    return querier(endpoint, time, made=GUARDED, inputs=sample_and_neighbours, **settings)


def test_there_is_a_pause_between_neighbours_and_none_is_asked_after_the_time():
    time = Time()
    one = guarded(asked := Noisy(fingerprint=GUARDED), time, pace=2.0)
    assert all(one.ask(number).evidence.finding is Finding.AGREES for number in range(4))
    assert (len(asked.asked), len(time.waits) >= 7) == (11, True)
    one = guarded(time=Time(), pace=2.0, time_limit=4.0)
    assert isinstance([one.ask(number) for number in range(4)][-1], Unasked)


def test_a_sample_whose_neighbours_were_not_all_asked_does_not_agree():
    time = Time()

    class Slow(Noisy):
        def ask(self, codes):
            time.seconds += 1.0
            return super().ask(codes)

    one = guarded(Slow(fingerprint=GUARDED), time, time_limit=1.5)
    assert one.ask(0).evidence.finding is Finding.UNCLEAR
    assert len(one.endpoint.asked) == 2


def test_what_ended_while_neighbours_were_asked_was_not_asked_in_vain_or_too_late():
    noted = []

    class Ending(Noisy):
        def ask(self, codes):
            one.end()  # as another thread's proof of tampering does
            return super().ask(codes)

    one = guarded(Ending(fingerprint=GUARDED), note=lambda *each: noted.append(each))
    assert [one.ask(0), one.ask(1)] == [Unasked.ENDED, Unasked.ENDED]
    assert noted == []
