import math

import pytest
import sealed

from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.record import (
    Limit,
    tell_level,
    tell_power,
)


def made(**changes):
    return Limit(**{"family": "noise", "noticed": 20, "draws": 20, **changes})


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"family": ""}, "^family: a text was wanted"),
        ({"unit": "", "level": 1.0}, "^unit: a text was wanted"),
        ({"unit": "x"}, "^level: a number was wanted for the unit x, but None came"),
        ({"level": 0.5}, "^level: no number was wanted for the unit None, but 0.5 came"),
        ({"unit": "x", "level": 0.0}, "^level: a positive finite number was wanted, but 0.0"),
        ({"unit": "x", "level": -1.0}, "^level: a positive finite number was wanted"),
        ({"unit": "x", "level": math.inf}, "^level: a positive finite number was wanted"),
        ({"unit": "x", "level": math.nan}, "^level: a positive finite number was wanted"),
        ({"draws": 0}, "^draws: a whole number from 1 to 10000"),
        ({"draws": 10_001}, "^draws: a whole number from 1 to 10000"),
        ({"noticed": 21}, "^noticed: a whole number from 0 to 20"),
        ({"noticed": -1}, "^noticed: a whole number from 0 to 20"),
        ({"fixed": True}, "^draws: a whole number from 1 to 1 was wanted, but 20 came"),
    ],
)
def test_a_limit_that_could_not_be_true_is_refused_with_its_field(changes, problem):
    with pytest.raises(InvalidArgumentError, match=problem):
        made(**changes)


@pytest.mark.parametrize(("draws", "enough"), [(20, False), (58, False), (59, True), (60, True)])
def test_a_power_of_95_per_cent_takes_59_draws_without_a_miss(draws, enough):
    assert (made(noticed=draws, draws=draws).at_least >= 0.95) is enough


def test_twenty_of_twenty_are_86_per_cent_and_none_is_nothing():
    assert made().at_least == 0.860891
    assert made(noticed=0).at_least == 0


@pytest.mark.parametrize("noticed", [0, 1])
def test_a_change_without_chance_is_noticed_or_is_not(noticed):
    assert made(noticed=noticed, draws=1, fixed=True).at_least == noticed


@pytest.mark.parametrize(
    ("level", "told"),
    [
        (2.0**-14, "2^-14"),
        (0.5, "2^-1"),
        (2.0, "2^1"),
        (1.0, "1"),
        (0.3, "0.3"),
        (3e-7, "3e-07"),
        (5e-324, "2^-1074"),
    ],
)
def test_a_level_is_told_as_a_power_of_two_if_it_is_one(level, told):
    assert tell_level(level) == told


def test_a_limit_is_told_in_one_phrase():
    assert [str(limit) for limit in sealed.LIMITS] == [
        "Gaussian noise from 2^-14 of each layer's spread (20 of 20)",
        "a flipped sign bit (17 of 20)",
        "pruning from 2^-1 of all weights",
        "rounded to bfloat16",
    ]


def test_a_power_tells_apart_what_was_noticed_always_in_part_and_never():
    assert tell_power(sealed.LIMITS) == (
        "Gaussian noise from 2^-14 of each layer's spread (20 of 20), rounded to bfloat16; "
        "in part: a flipped sign bit (17 of 20); not: pruning from 2^-1 of all weights"
    )
    assert tell_power(sealed.LIMITS[1:2]) == "in part: a flipped sign bit (17 of 20)"
    assert tell_power(()) == ""
