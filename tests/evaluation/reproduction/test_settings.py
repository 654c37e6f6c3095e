import pytest

from modelseal.errors import InvalidArgumentError
from modelseal.research.experiment import Settings


def test_the_defaults_are_the_published_numbers():
    settings = Settings()
    assert (settings.samples, settings.bag, settings.trials) == (10, 100, 1000)
    assert (settings.legacy.iterations, settings.legacy.radius) == (1000, 10.0)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"images": 0}, "images needs 1 or more, but is 0"),
        ({"samples": 0}, "samples needs 1 or more, but is 0"),
        ({"bag": 0}, "bag needs 1 or more, but is 0"),
        ({"trials": -1}, "trials needs 1 or more, but is -1"),
        ({"samples": 5, "bag": 4}, "samples of a bag were wanted, but 5 are more than its 4"),
        ({"seed": -1}, "a seed needs to be 0 to 2.63 - 1, but is -1"),
    ],
)
def test_numbers_out_of_their_range_are_refused(changes, sentence):
    with pytest.raises(InvalidArgumentError, match=sentence):
        Settings(**changes)
