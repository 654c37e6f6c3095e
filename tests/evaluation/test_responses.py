import numpy as np
import pytest
from evaluated import refused, samples, trial

from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.responses import gather, pair


def test_only_applied_trials_are_gathered():
    found = gather(samples(), [trial("1000"), refused(seed=1), trial("0011", seed=2)])
    assert [each.seed for each in found.trials] == [0, 2]
    assert found.changed.tolist() == [[True, False, False, False], [False, False, True, True]]


def test_a_set_notices_if_any_of_its_first_picks_does():
    picks = {"manc": ((0, 1), (3, 2))}
    found = gather(samples(picks=picks), [trial("0100"), trial("0010", seed=1)])
    assert found.notices("manc", 1).tolist() == [[False, False], [False, False]]
    assert found.notices("manc", 2).tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize(
    ("picks", "reach"),
    [({"manc": ((0, 1, 2), (3,))}, 1), ({"manc": ()}, 0), ({"random": ((0, 1),)}, 0), ({}, 0)],
)
def test_sets_reach_as_far_as_the_shortest_bag(picks, reach):
    assert gather(samples(picks=picks), []).reach("manc") == reach


def test_splitting_gives_every_trial_to_its_key_in_the_order_of_coming():
    trials = [trial("1000", name="b"), trial("0100", name="a"), trial("0010", name="b", seed=1)]
    parts = gather(samples(), trials).split(lambda each: each.name)
    assert list(parts) == ["b", "a"]
    assert [each.seed for each in parts["b"].trials] == [0, 1]
    assert np.array_equal(parts["a"].changed, [[False, True, False, False]])


def test_a_trial_with_another_number_of_answers_is_refused():
    with pytest.raises(InvalidArgumentError, match=r"got 2 of ftal\(None, 0\)"):
        gather(samples(), [trial("10")])


def test_each_set_gets_its_own_trials():
    sets = [samples(), samples("natural")]
    ours, natural = pair(sets, [trial("0001", "natural"), trial("1000")])
    assert (ours.method, ours.changed.tolist()) == ("boundary", [[True, False, False, False]])
    assert (natural.method, natural.changed.tolist()) == ("natural", [[False, False, False, True]])


def test_trials_without_samples_and_two_sets_of_one_subject_are_refused():
    with pytest.raises(InvalidArgumentError, match="natural for resnet20, top1"):
        pair([samples()], [trial("1000", "natural")])
    with pytest.raises(InvalidArgumentError, match="got two"):
        pair([samples(), samples()], [])
