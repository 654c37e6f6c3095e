import numpy as np
import pytest
import sealed

from modelseal.errors import InvalidArgumentError
from modelseal.verification.e_process import bound_all, spend
from modelseal.verification.policy import QUERIES, Terms, apply


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"alpha": 0.0}, "^alpha: a number above 0 and below 1 was wanted, but 0.0 came"),
        ({"alpha": 1.0}, "^alpha: "),
        ({"alpha": float("nan")}, "^alpha: .* but nan came"),
        ({"queries": 0}, "^queries: a number from 1 was wanted, but 0 came"),
        ({"look": 0}, "^look: a number from 1 was wanted, but 0 came"),
    ],
    ids=str,
)
def test_terms_out_of_their_range_are_refused_with_their_field(changes, problem):
    with pytest.raises(InvalidArgumentError, match=problem):
        Terms(**changes)


def test_half_of_alpha_is_for_the_enrolment_and_half_for_the_check():
    levels = apply(Terms(), sealed.enrolment(alpha=0.02), samples=3)
    assert (levels.alpha, levels.bar) == (0.02, 100.0)
    bounds = bound_all(np.array([0, 2, 1]), 30, risk=0.01, samples=5)
    assert levels.bounds.tolist() == bounds.tolist()
    assert levels.estimates.tolist() == [0.5 / 31, 2.5 / 31, 1.5 / 31]
    assert levels.queries == 3 * QUERIES


def test_what_is_asked_for_goes_before_what_was_enrolled():
    levels = apply(Terms(alpha=0.1, queries=7), sealed.enrolment(alpha=0.02), samples=3)
    assert (levels.alpha, levels.bar, levels.queries) == (0.1, 20.0, 7)


def test_a_look_of_a_schedule_takes_its_share_of_the_half():
    levels = apply(Terms(look=3), sealed.enrolment(alpha=0.02), samples=3)
    assert levels.bar == 1 / spend(0.01, 3)


def test_an_enrolment_that_asked_too_little_for_alpha_is_refused():
    with pytest.raises(
        InvalidArgumentError,
        match=r"30 questions of each sample at enrolment are too few .* of 1e-09: of sample 1, 2 ",
    ):
        apply(Terms(alpha=1e-9), sealed.enrolment(), samples=3)
