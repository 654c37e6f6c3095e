from dataclasses import replace

import numpy as np
import planned
import pytest
import torch

from modelseal.calibration.calibrate import calibrate
from modelseal.errors import SealingError
from modelseal.evaluation import sample_sets
from modelseal.evaluation.inputs import list_networks, open_network, sealing_variants
from modelseal.evaluation.plan import SamplesSection, Subject, read_plan
from modelseal.evaluation.sample_sets import detect_small, fill, make_set, pick, sample_task
from modelseal.outputs.specs import TopLabels
from modelseal.runtime.inference import run_network
from modelseal.sealing import pipeline
from modelseal.sealing.methods import make_two_class
from modelseal.sealing.perturbations import FLIPS, foretell_flips, small_copies
from modelseal.sealing.recipe import FACTOR, Recipe
from modelseal.selection.activations import active_neurons


@pytest.fixture
def task(tmp_path):
    """Gives the task of making samples by a method."""

    def build(method, *changes, spec="top1"):
        rules = ("count = 2", 'count = 2\nrules = ["manc", "random"]')
        changes = changes or (rules,)
        path = planned.write_plan(tmp_path, ('["boundary", "natural"]', f'["{method}"]'), *changes)
        plan = read_plan(path)
        subject = Subject(network="small", method=method, spec=spec)
        return sample_task(plan, subject, list_networks(plan, tmp_path)["small"])

    return build


def test_natural_samples_are_natural_inputs_and_cost_nothing(task):
    given = task("natural")
    found, arrays, seconds = make_set(given)
    opened = open_network(given.files)
    rows = arrays["sources"]
    assert np.array_equal(arrays["samples"], opened.naturals[rows])
    assert (found.psnr, found.work, found.alarms) == ((np.inf,) * 8, 0.0, {})
    scores = run_network(opened.model.network, opened.data.test_inputs[rows])
    assert np.array_equal(arrays["scores"], scores)
    assert seconds > 0


def test_margins_and_moves_are_those_of_calibration_however_few_inputs_at_once(task, monkeypatch):
    given = task("two-class")
    found, arrays, _ = make_set(given)
    model = open_network(given.files).model
    samples = torch.from_numpy(model.domain.decode(arrays["samples"]))
    variants = sealing_variants(model, given.variants)
    wanted = calibrate(model.network, samples, spec=TopLabels(), variants=variants)
    assert (found.margins, found.moves) == (tuple(wanted.margins), tuple(wanted.moves))
    monkeypatch.setattr(sample_sets, "PIECE", 3)
    assert np.array_equal(arrays["samples"], make_set(given)[1]["samples"])


def test_boundary_samples_are_those_that_sealing_accepts_and_cost_something(task):
    found, _, _ = make_set(task("boundary"))
    assert 2 <= len(found) <= 8
    assert all(m >= FACTOR * v for m, v in zip(found.margins, found.moves, strict=True))
    assert max(found.psnr) < np.inf
    assert found.work > 10


def test_float_samples_are_off_the_levels_and_on_the_same_inputs(task):
    _, levels, _ = make_set(task("natural:float"))
    _, free, _ = make_set(task("boundary:float"))
    assert free["samples"].dtype == np.float32
    steps = free["samples"] * 255
    assert np.abs(steps - steps.round()).max() > 0.01
    assert set(free["sources"]) <= set(levels["sources"])


def test_wrongly_classified_inputs_are_the_pool_of_their_method(task):
    given = task("misclassified")
    opened = open_network(given.files)
    rows = make_set(given)[1]["sources"]
    shown = run_network(opened.model.network, opened.data.test_inputs).argmax(1)
    assert (shown[rows] != opened.labels[rows]).all()
    with pytest.raises(SealingError):
        sample_sets.choose_pool(replace(opened, labels=shown), "misclassified")


def test_a_method_may_have_numbers_of_its_own(task):
    own = "count = 2\n[samples.methods.natural]\ncandidates = 4\nbags = 1\nbag = 3"
    given = task("natural", ("count = 2", own))
    numbers = given.samples
    assert (numbers.candidates, numbers.bags, numbers.bag, numbers.count) == (4, 1, 3, 2)
    found, _, _ = make_set(given)
    assert (len(found), len(found.picks["manc"])) == (4, 1)


def test_the_same_task_gives_the_same_samples_and_another_seed_others(task):
    given = task("natural")
    first, second = make_set(given), make_set(given)
    other = make_set(replace(given, seed=given.seed + 1))
    assert first[0] == second[0]
    assert first[0].digest != other[0].digest


def test_scores_that_are_not_finite_are_refused(task, monkeypatch):
    broken = np.full((8, 5), np.nan, np.float32)
    monkeypatch.setattr(sample_sets, "run_network", lambda network, inputs: broken)
    with pytest.raises(SealingError, match="finite"):
        make_set(task("natural"))


@pytest.fixture
def opened(tmp_path):
    path = planned.write_plan(tmp_path)
    return open_network(list_networks(read_plan(path), tmp_path)["small"])


def choose(opened, samples, rules, bags, bag, count):
    numbers = SamplesSection(rules=list(rules), bags=bags, bag=bag, count=count)
    return pick(opened, samples, spec=TopLabels(), samples=numbers, seed=5)


def test_bags_are_random_draws_of_one_size_that_may_overlap():
    bags = fill(14, 6, 4, seed=1)
    assert [len(set(bag.tolist())) for bag in bags] == [4] * 6
    assert set().union(*(bag.tolist() for bag in bags)) <= set(range(14))
    # Six bags of four share some of fourteen.
    assert len(np.unique(np.concatenate(bags))) < 24
    # A bag stays as it is when more are drawn.
    assert np.array_equal(bags[:4], fill(14, 4, 4, seed=1))
    assert not np.array_equal(bags, fill(14, 6, 4, seed=2))
    for size in (5, 64):
        assert [sorted(bag.tolist()) for bag in fill(5, 3, size, seed=1)] == [[0, 1, 2, 3, 4]]


def test_every_rule_chooses_different_samples_of_each_bag(opened, monkeypatch):
    monkeypatch.setattr(sample_sets, "DRAWS", 1)
    samples, rules = opened.data.test_inputs, ("manc", "detection", "random")
    picks = choose(opened, samples, rules, 3, 6, 4)
    bags = [set(bag.tolist()) for bag in fill(20, 3, 6, 5)]
    for rule in rules:
        assert [len(set(chosen)) for chosen in picks[rule]] == [4, 4, 4]
        assert all(set(chosen) <= bag for chosen, bag in zip(picks[rule], bags, strict=True))
    assert picks["random"] != picks["manc"]
    assert picks == choose(opened, samples, rules, 3, 6, 4)
    few = choose(opened, samples[:5], ("random",), 2, 3, 4)["random"]
    assert [len(each) for each in few] == [3, 3]


def slow_choice(noticed, firing, margins, count):
    """The greedy rule, counted anew for every pick: changes, then neurons, then the margin."""
    order, left = [], list(range(len(noticed)))
    seen, awake = np.zeros(noticed.shape[1], bool), np.zeros(firing.shape[1], bool)
    while len(order) < count:
        gains = {each: int((noticed[each] & ~seen).sum()) for each in left}
        if not max(gains.values()) and noticed[left].any():
            seen[:], awake[:] = False, False
            continue
        best = min(left, key=lambda own: (-gains[own], -(firing[own] & ~awake).sum(), margins[own]))
        order.append(best)
        seen |= noticed[best]
        awake |= firing[best]
        left.remove(best)
    return order


@pytest.mark.parametrize("rows", [20, 12])
def test_detection_covers_the_changes_that_sealing_would_try(opened, rows, monkeypatch):
    monkeypatch.setattr(sample_sets, "DRAWS", 1)
    starts, network = opened.data.test_inputs[:rows], opened.model.network
    samples = make_two_class(network, starts, recipe=Recipe(domain=opened.model.domain))
    before = run_network(network, samples)
    copies = small_copies(opened.model, samples, draws=1, seed=5, fixed=False)
    noticed = np.array([run_network(each, samples).argmax(1) for each in copies]).T
    flips = foretell_flips(network, samples, spec=TopLabels(), seed=5)
    noticed = np.hstack([noticed != before.argmax(1)[:, None], flips])
    assert 0 < noticed.mean() < 1
    firing = np.unpackbits(active_neurons(network, samples), axis=1).astype(bool)
    ordered = np.sort(before.astype(np.float64), axis=1)
    margins = ordered[:, -1] - ordered[:, -2]
    picks = choose(opened, samples, ("detection",), 3, 9, 6)
    for bag, chosen in zip(fill(rows, 3, 9, 5), picks["detection"], strict=True):
        wanted = slow_choice(noticed[bag], firing[bag], margins[bag], 6)
        assert chosen == tuple(int(bag[place]) for place in wanted)


def test_as_many_seeded_changes_are_tried_as_sealing_tries(opened):
    assert sample_sets.DRAWS == pipeline.DRAWS
    samples = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    drawn = small_copies(opened.model, samples, draws=pipeline.DRAWS, seed=5, fixed=False)
    copies = sum(1 for _ in drawn)
    noticed = detect_small(opened, samples, TopLabels(), 5)
    assert (noticed.shape, noticed.dtype) == ((3, -(-(copies + FLIPS) // 8)), np.uint8)
