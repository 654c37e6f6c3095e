import pytest

from modelseal.endpoints.endpoint import Keeping


class Line:
    def __init__(self):
        self.closed = 0

    def close(self):
        self.closed += 1


class Asking(Keeping[Line]):
    def open(self):
        return Line()


def test_one_connection_is_kept_until_it_is_closed_and_then_another_one():
    asking = Asking()
    first = asking.connect()
    assert asking.connect() is first
    asking.close()
    asking.close()
    assert first.closed == 1
    assert asking.connect() is not first


def test_the_end_of_a_block_closes_it_whatever_happened():
    asking = Asking()
    line = asking.connect()
    with pytest.raises(KeyError, match="x"), asking:
        raise KeyError("x")
    assert (line.closed, asking.connection) == (1, None)
