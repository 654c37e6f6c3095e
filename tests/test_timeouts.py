import threading
import time

import pytest

from modelseal.errors import EndpointError
from modelseal.timeouts import within


def test_what_comes_in_time_is_given():
    assert within(60.0, lambda: "x") == "x"
    assert within(60.0, lambda: None) is None


def test_what_is_raised_in_time_is_raised():
    with pytest.raises(KeyError, match="x"):
        within(60.0, lambda: {}["x"])


def test_what_comes_too_late_is_given_up():
    done = threading.Event()
    start = time.monotonic()
    with pytest.raises(EndpointError, match=r"expected an answer, got none within 0\.1 seconds"):
        within(0.1, lambda: done.wait(60))
    assert time.monotonic() - start < 30
    done.set()
