from math import inf, nan

import pytest

from modelseal.errors import InvalidArgumentError
from modelseal.verification.policy import Manners


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"retries": -1}, "retries: a number from 0 to 100 was wanted, but -1 came"),
        ({"retries": 101}, "retries: a number from 0 to 100 was wanted, but 101 came"),
        ({"pace": -0.1}, "pace: seconds from 0 was wanted, but -0.1 came"),
        ({"pace": inf}, "pace: seconds from 0 was wanted, but inf came"),
        ({"pace": nan}, "pace: seconds from 0 was wanted, but nan came"),
        ({"time_limit": 0.0}, "time_limit: seconds above 0 was wanted, but 0 came"),
        ({"time_limit": nan}, "time_limit: seconds above 0 was wanted, but nan came"),
        ({"concurrency": 0}, "concurrency: a number from 1 was wanted, but 0 came"),
    ],
)
def test_manners_that_make_no_sense_are_refused_with_the_field(changes, message):
    with pytest.raises(InvalidArgumentError, match=message):
        Manners(**changes)
