import threading
import time

import pytest

from modelseal.endpoints.timeouts import Watchdog


@pytest.fixture
def acted():
    return threading.Event()


def watchers():
    return [each for each in threading.enumerate() if each.name.endswith("(_watch)")]


def test_it_acts_at_the_deadline_and_not_before(acted):
    begin = time.monotonic()
    Watchdog(0.2, acted.set).call()
    assert acted.wait(5)
    assert 0.2 <= time.monotonic() - begin < 1.0


def test_it_does_nothing_once_it_was_called_off(acted):
    dog = Watchdog(0.1, acted.set)
    dog.call()
    dog.call_off()
    assert not acted.wait(0.3)


def test_one_thread_watches_over_deadlines_that_follow_one_another_and_ends(acted):
    before = len(watchers())
    dog = Watchdog(0.2, acted.set)
    for _ in range(5):
        dog.call()
        time.sleep(0.1)
        assert len(watchers()) == before + 1
        dog.call_off()
    assert not acted.wait(0.4)
    assert len(watchers()) == before
    dog.call()
    assert acted.wait(5)


def test_a_later_deadline_takes_the_place_of_an_earlier_one(acted):
    dog = Watchdog(0.3, acted.set)
    dog.call()
    time.sleep(0.2)
    begin = time.monotonic()
    dog.call()
    assert acted.wait(5)
    assert time.monotonic() - begin >= 0.3
