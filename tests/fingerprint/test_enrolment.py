import numpy as np
import pytest
import sealed

from modelseal.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"endpoint": ""}, r"^enrolment\.endpoint: a text was wanted"),
        ({"created": "today"}, r"^enrolment\.created: a moment such as"),
        ({"alpha": 0.0}, r"^enrolment\.alpha: a number above 0 and below 1 was wanted, but 0.0"),
        ({"alpha": float("nan")}, r"^enrolment\.alpha: .* but nan came"),
        ({"repeats": 0}, r"^enrolment\.repeats: a whole number from 1 to 1000000 was wanted"),
        ({"asked": 2}, r"^enrolment\.asked: a whole number from 3 "),
        ({"differing": (0, -1, 0)}, r"^enrolment\.differing\[1\]: a whole number from 0 to 14"),
        ({"differing": (0, 0, 15)}, r"^enrolment\.differing\[2\]: .* but 15 came"),
        ({"otherwise": (True,)}, r"^enrolment\.otherwise: 3 truth values were wanted, but 1 came"),
    ],
    ids=str,
)
def test_an_enrolment_that_cannot_be_is_refused_with_its_field(changes, problem):
    with pytest.raises(InvalidArgumentError, match=problem):
        sealed.enrolment(**changes)


def test_fewer_than_half_of_an_odd_number_may_differ():
    assert sealed.enrolment(repeats=5, differing=(2, 0, 0)).differing == (2, 0, 0)
    with pytest.raises(InvalidArgumentError, match="but 3 came"):
        sealed.enrolment(repeats=5, differing=(3, 0, 0))


def test_some_samples_are_taken_in_their_order():
    few = sealed.enrolment().take(np.array([1, 0]))
    assert (few.differing, few.otherwise) == ((2, 0), (True, False))
    assert (few.asked, few.repeats) == (5, 30)
