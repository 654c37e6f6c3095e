from dataclasses import replace

import numpy as np
import planned
import pytest
import torch

from modelseal.calibration.calibrate import calibrate
from modelseal.errors import SealingError
from modelseal.evaluation import sample_sets
from modelseal.evaluation.inputs import list_networks, open_network
from modelseal.evaluation.plan import list_subjects, read_plan
from modelseal.evaluation.results import Subject
from modelseal.evaluation.sample_sets import make_set, sample_task
from modelseal.outputs.specs import TopLabels
from modelseal.runtime.inference import run_network
from modelseal.sealing.recipe import Method, Recipe


@pytest.fixture
def task(tmp_path):
    """Gives the task of making samples by a method."""

    def build(method, *changes, spec="top1"):
        path = planned.write_plan(tmp_path, ('["boundary", "natural"]', f'["{method}"]'), *changes)
        plan = read_plan(path)
        subject = Subject(network="small", method=method, spec=spec)
        made = sample_task(plan, subject, list_networks(plan, tmp_path)["small"])
        return replace(made, rules=("manc", "random"))

    return build


def test_natural_samples_are_natural_inputs_and_cost_nothing(task):
    made = make_set(task("natural"))
    opened = open_network(task("natural").files)
    rows = made.arrays["sources"]
    assert np.array_equal(made.arrays["samples"], opened.naturals[rows])
    assert made.samples.psnr == (np.inf,) * 8
    assert (made.samples.work, made.samples.alarms) == (0.0, {})
    scores = run_network(opened.model.network, opened.data.test_inputs[rows])
    assert np.array_equal(made.arrays["scores"], scores)


def test_margins_and_moves_are_those_of_calibration(task):
    given = task("two-class")
    made, opened = make_set(given), open_network(given.files)
    samples = torch.from_numpy(opened.model.domain.decode(made.arrays["samples"]))
    variants = sample_sets.sealing_variants(opened.model, given.variants)
    wanted = calibrate(opened.model.network, samples, spec=TopLabels(), variants=variants)
    assert made.samples.margins == tuple(wanted.margins)
    assert made.samples.moves == tuple(wanted.moves)


def test_boundary_samples_are_those_that_sealing_accepts_and_cost_something(task):
    given = task("boundary")
    made = make_set(given).samples
    assert 2 <= len(made.psnr) <= 8
    assert all(m >= Recipe().factor * v for m, v in zip(made.margins, made.moves, strict=True))
    assert max(made.psnr) < np.inf
    assert made.work > 10


def test_float_samples_are_off_the_levels_and_on_the_same_inputs(task):
    levels, free = make_set(task("natural:float")), make_set(task("boundary:float"))
    assert free.arrays["samples"].dtype == np.float32
    steps = free.arrays["samples"] * 255
    assert np.abs(steps - steps.round()).max() > 0.01
    assert set(free.arrays["sources"]) <= set(levels.arrays["sources"])


def test_wrongly_classified_inputs_are_the_pool_of_their_method(task):
    made = make_set(task("misclassified"))
    opened = open_network(task("misclassified").files)
    rows = made.arrays["sources"]
    shown = run_network(opened.model.network, opened.data.test_inputs[rows]).argmax(1)
    assert (shown != opened.labels[rows]).all()
    right = replace(
        opened, labels=run_network(opened.model.network, opened.data.test_inputs).argmax(1)
    )
    with pytest.raises(SealingError, match="wrongly classified inputs were wanted, but"):
        sample_sets.choose_pool(right, Method(sample_sets.MISCLASSIFIED))


def test_a_method_may_have_numbers_of_its_own(task):
    own = "count = 2\n[samples.methods.natural]\ncandidates = 4\nbags = 1\nbag = 3"
    given = task("natural", ("count = 2", own))
    assert (given.candidates, given.bags, given.bag, given.count) == (4, 1, 3, 2)
    made = make_set(given).samples
    assert len(made.psnr) == 4
    assert len(made.picks["manc"]) == 1


def test_the_same_task_gives_the_same_samples_and_another_seed_others(task):
    given = task("natural")
    first, second = make_set(given), make_set(given)
    other = make_set(replace(given, seed=given.seed + 1))
    assert first.samples == second.samples
    assert np.array_equal(first.arrays["samples"], second.arrays["samples"])
    assert not np.array_equal(first.arrays["samples"], other.arrays["samples"])


def test_work_is_done_in_pieces_with_all_samples_in_order(task, monkeypatch):
    whole = make_set(task("two-class"))
    monkeypatch.setattr(sample_sets, "PIECE", 3)
    pieces = make_set(task("two-class"))
    assert np.array_equal(whole.arrays["samples"], pieces.arrays["samples"])


def test_more_bags_than_samples_are_drawn_each_with_a_set(task):
    made = make_set(replace(task("natural"), bags=9)).samples
    assert [len(set(chosen)) for chosen in made.picks["manc"]] == [2] * 9
    assert set().union(*made.picks["random"]) <= set(range(8))


def test_scores_that_are_not_finite_are_refused(task, monkeypatch):
    broken = np.full((8, 5), np.nan, np.float32)
    monkeypatch.setattr(sample_sets, "run_network", lambda network, inputs: broken)
    with pytest.raises(SealingError, match="finite scores were wanted, but a sample has others"):
        make_set(task("natural"))


def test_a_task_says_whose_samples_it_makes(task):
    assert str(task("natural")) == "samples of natural for small, top1"


def test_subjects_of_several_grids_come_once(tmp_path):
    second = '\n[[grids]]\nmethods = ["natural"]\ntamperings = ["bit"]\nspecs = ["top1", "topk:2"]'
    plan = read_plan(planned.write_plan(tmp_path, ("seeds = 2", "seeds = 2" + second)))
    assert [(each.method, each.spec) for each in list_subjects(plan)] == [
        ("boundary", "top1"),
        ("natural", "top1"),
        ("natural", "topk:2"),
    ]


def test_as_many_classes_tie_as_the_plan_says(task, monkeypatch):
    asked = []

    def note(model, naturals, recipe, candidates):
        asked.append(recipe.tied)
        raise InterruptedError

    monkeypatch.setattr(sample_sets, "make_accepted", note)
    for changes in ((), (("count = 2", "count = 2\ntie = 3"),)):
        with pytest.raises(InterruptedError):
            make_set(task("boundary", *changes))
    assert asked == [10, 3]
