import threading
import time

import pytest
from quickest import quickest

from modelseal.endpoints import timeouts
from modelseal.endpoints.timeouts import Watchdog


class Clock:
    """A clock that a test sets; who sleeps by it wakes when the test says so."""

    def __init__(self):
        self.now = 100.0
        self.changed = threading.Condition()
        self.seen = threading.local()

    def read(self):
        self.seen.time = self.now
        return self.now

    def sleep(self, seconds):
        # Not from now: the test may have gone on since the sleeper looked at the clock.
        end = self.seen.time + seconds
        with self.changed:
            assert self.changed.wait_for(lambda: self.now >= end, timeout=60)

    def advance(self, seconds):
        with self.changed:
            self.now += seconds
            self.changed.notify_all()


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(timeouts, "monotonic", clock.read)
    monkeypatch.setattr(timeouts, "sleep", clock.sleep)
    return clock


@pytest.fixture
def acted():
    return threading.Event()


def watchers():
    return [each for each in threading.enumerate() if each.name.endswith("(_watch)")]


def await_end_of(watchers):
    for each in watchers:
        each.join(60)
        assert not each.is_alive()


def test_it_acts_at_the_deadline_and_not_before():
    def act():
        acted = threading.Event()
        Watchdog(0.2, acted.set).call()
        assert acted.wait(60)

    assert 0.2 <= quickest(act, below=0.9) < 0.9


def test_it_does_nothing_once_it_was_called_off(acted, clock):
    before = watchers()
    dog = Watchdog(1.0, acted.set)
    dog.call()
    begun = [each for each in watchers() if each not in before]
    dog.call_off()
    clock.advance(5)
    await_end_of(begun)
    assert not acted.is_set()


def test_one_thread_watches_over_deadlines_that_follow_one_another_and_ends(acted, clock):
    before = watchers()
    dog = Watchdog(10.0, acted.set)
    dog.call()
    (one,) = [each for each in watchers() if each not in before]
    for _ in range(5):
        clock.advance(6)
        dog.call()
        assert [each for each in watchers() if each not in before] == [one]
    dog.call_off()
    clock.advance(20)
    await_end_of([one])
    assert not acted.is_set()
    dog.call()
    clock.advance(10)
    assert acted.wait(60)


def test_a_later_deadline_takes_the_place_of_an_earlier_one(acted):
    dog = Watchdog(0.3, acted.set)
    dog.call()
    begin = time.monotonic()
    dog.call()
    assert acted.wait(60)
    assert time.monotonic() - begin >= 0.3
