import numpy as np
import pytest
from evaluated import refused, samples, trial

from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.curves import gather, pair


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


def test_each_set_gets_its_own_applied_trials():
    trials = [trial("0001", "natural"), trial("1000"), refused(seed=1), trial("0011", seed=2)]
    ours, natural = pair([samples(), samples("natural")], trials)
    assert ours.changed.tolist() == [[True, False, False, False], [False, False, True, True]]
    assert [each.seed for each in ours.trials] == [0, 2]
    assert (natural.method, natural.changed.tolist()) == ("natural", [[False, False, False, True]])


@pytest.mark.parametrize(
    ("sets", "trials", "sentence"),
    [
        ([samples()], [trial("1000", "natural")], "natural for resnet20, top1"),
        ([samples(), samples()], [], "got two"),
        ([samples()], [trial("10")], r"got 2 of ftal\(None, 0\)"),
    ],
)
def test_trials_that_do_not_fit_their_samples_are_refused(sets, trials, sentence):
    with pytest.raises(InvalidArgumentError, match=sentence):
        pair(sets, trials)
