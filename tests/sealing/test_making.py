from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import nn

from modelseal.calibration.variants import Compiled
from modelseal.errors import InvalidArgumentError
from modelseal.generation.gaps import best_outside, rank, score
from modelseal.generation.ties import tie
from modelseal.outputs.specs import TopLabels, parse_spec
from modelseal.runtime.cost import counting
from modelseal.runtime.inference import run_network
from modelseal.sealing import search
from modelseal.sealing.candidates import to_tensor
from modelseal.sealing.recipe import Recipe
from modelseal.sealing.search import NEIGHBOURS, approach, make_boundary, need_margin, steer


@pytest.fixture
def starts(naturals):
    """Natural inputs as the network takes them."""

    def place(domain, count=8):
        return torch.from_numpy(domain.decode(naturals(domain, count)))

    return place


def exact_scores(network, samples):
    """The scores in double precision, best first."""
    with torch.no_grad():
        scores = network.double()(samples.double())
    network.float()
    return scores.numpy(), -np.sort(-scores.numpy(), axis=1)


def levels_apart(samples, starts, domain):
    """By how many levels each value was moved."""
    return ((samples - starts) / domain.step).abs()


@pytest.mark.parametrize("levels", [0, 256])
def test_all_classes_tie_just_above_the_wanted_margin(build, starts, levels):
    model = build(levels=levels)
    samples = make_boundary(model, starts(model.domain), Recipe(margin=1e-3))
    _, ordered = exact_scores(model.network, samples)
    leads = ordered[:, :1] - ordered[:, 1:]
    assert leads.min() > 0.999e-3
    # The tie is one of scores that lay this far apart in the natural inputs.
    assert np.median(leads.max(axis=1)) < 5e-3
    _, natural = exact_scores(model.network, starts(model.domain))
    assert np.median(natural[:, 0] - natural[:, -1]) > 0.1


def test_only_as_many_classes_tie_as_the_recipe_says(model, starts):
    inputs = starts(model.domain)
    samples = make_boundary(model, inputs, Recipe(margin=1e-3, tied=2))
    _, ordered = exact_scores(model.network, samples)
    _, natural = exact_scores(model.network, inputs)
    assert (ordered[:, 0] - ordered[:, 1]).max() < 5e-3
    leads, before = (scores[:, 0] - scores[:, -1] for scores in (ordered, natural))
    assert (leads > 0.5 * before).all()


@pytest.mark.parametrize("levels", [0, 256])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_every_shown_label_is_ahead_of_the_next_by_the_margin(build, starts, count, levels):
    model = build(levels=levels)
    inputs = starts(model.domain)
    recipe = Recipe(margin=1e-3, tied=2, spec=TopLabels(count))
    _, ordered = exact_scores(model.network, make_boundary(model, inputs, recipe))
    gaps = ordered[:, :count] - ordered[:, 1 : count + 1] if count < 5 else -np.diff(ordered)
    assert gaps.min() > 0.999e-3
    # More classes are shown than the recipe lets tie: one more of them ties all the same.
    assert np.median(gaps.max(axis=1)) < 5e-3


def test_later_attempts_bring_margins_nearer_to_what_is_needed(model, starts, monkeypatch):
    inputs, recipe = starts(model.domain, 48), Recipe()
    off = {}
    for attempts in (1, 4):
        monkeypatch.setattr(search, "ATTEMPTS", attempts)
        samples = make_boundary(model, inputs, recipe)
        ratio = recipe.spec.margin(run_network(model.network, samples))
        ratio /= need_margin(model, samples, recipe).numpy()
        off[attempts] = int(((ratio < 1) | (ratio > search.LOOSE)).sum())
    assert off[1] > off[4]


def test_no_sample_aims_at_less_than_the_median_sample_of_its_piece_needs(
    model, starts, monkeypatch
):
    inputs, recipe = starts(model.domain, 16), Recipe()
    aims = []
    true = search.place

    def note(model, start, ranking, margin, *, repair):
        aims.append(margin)
        return true(model, start, ranking, margin, repair=repair)

    monkeypatch.setattr(search, "place", note)
    samples = make_boundary(model, inputs, recipe)
    ranking = rank(score(model.network, inputs), tied=10).reverse()
    near = tie(model.network, inputs, ranking, domain=model.domain, aim=torch.zeros(len(inputs)))
    needed = need_margin(model, model.domain.snap(near), recipe).numpy()
    usual = float(np.sort(needed)[(len(needed) - 1) // 2])
    assert 0 < (needed < usual).sum() < len(needed)
    assert np.array_equal(aims[0].numpy(), np.maximum(needed, np.float32(usual)))
    assert min(float(aim.min()) for aim in aims) == np.float32(usual)
    margins = recipe.spec.margin(run_network(model.network, samples))
    assert margins.min() >= usual
    own = need_margin(model, samples, recipe).numpy()
    assert (margins >= own).all()
    assert own.min() < usual


def test_few_samples_are_probed_in_a_batch_of_their_own(model, starts):
    inputs = starts(model.domain, 3)
    with counting(model.network) as counter:
        need_margin(model, inputs, Recipe())
    # Themselves, in float64 and with channels last; NNPACK takes no fewer than 16.
    assert counter.forward == 3 * 3 + 16


def test_a_margin_that_is_out_of_reach_is_given_up_on_the_levels(model, starts):
    samples = make_boundary(model, starts(model.domain, 4), Recipe(margin=1e3))
    assert model.domain.contains(samples.numpy()).all()
    assert (need_margin(model, samples, Recipe(margin=1e3)) == 1e3).all()


@pytest.mark.parametrize("margin", [None, 2.5e-6])
def test_the_needed_margin_is_the_factor_times_the_largest_move_of_any_probe(model, starts, margin):
    inputs = starts(model.domain)
    size = len(inputs)
    scores = run_network(model.network, inputs, size=size).astype(np.float64)
    needed = need_margin(model, inputs, Recipe(margin=margin, factor=12.0)).numpy()
    for row, own in enumerate(scores):
        winner = int(own.argmax())
        moves = [float(np.spacing(np.float32(np.abs(own).max())))]
        for probe in search.list_probes(size):
            change = probe(model.network, inputs)[row].astype(np.float64) - own
            moves += [abs(change[winner] - change[other]) for other in range(len(own))]
        assert needed[row] == pytest.approx(max(12 * max(moves), margin or 0.0), rel=1e-6)
    assert (needed == np.float32(margin or 0)).any() == (margin is not None)


@dataclass(frozen=True)
class Moving(Compiled):
    """Moves the first score; a slow variant, by its type."""

    by: float

    @property
    def name(self):
        return f"moving-{self.by}"

    def __call__(self, network, inputs):
        change = np.array([self.by, 0, 0, 0, 0], np.float32)
        return run_network(network, inputs) + change


class Quick:
    """The same, not slow."""

    def __init__(self, by):
        self.inner = Moving(by)
        self.name = f"quick-{by}"

    def __call__(self, network, inputs):
        return self.inner(network, inputs)


@pytest.mark.parametrize(
    ("variants", "move"),
    [
        ((Quick(0.25), Quick(0.5)), 0.5),
        ((Quick(0.25), Moving(0.5)), 0.25),
        ((Moving(0.5), Moving(0.75)), 0.75),
    ],
)
def test_of_its_own_variants_a_recipe_probes_the_quick_ones_and_slow_ones_if_there_is_no_other(
    model, starts, variants, move
):
    needed = need_margin(model, starts(model.domain), Recipe(variants=variants, factor=10.0))
    assert needed.numpy() == pytest.approx(10 * move, rel=1e-4)


def test_raw_scores_take_the_tie_as_it_is_since_their_margin_is_the_tolerance(model, starts):
    inputs = starts(model.domain)
    samples = make_boundary(model, inputs, Recipe(spec=parse_spec("scores:0.01")))
    ranking, aim = rank(score(model.network, inputs), tied=5), torch.zeros(len(inputs))
    exact = tie(model.network, inputs, ranking, domain=model.domain, aim=aim)
    assert levels_apart(samples, exact, model.domain).max() < 0.501


@pytest.mark.parametrize("spec", ["probs:3", "topprobs:2:4"])
@pytest.mark.parametrize("levels", [0, 256])
def test_steering_moves_a_few_values_by_one_level_to_a_larger_margin(build, starts, spec, levels):
    model = build(levels=levels, bounds=(-1.0, 3.0))
    inputs, recipe = starts(model.domain), Recipe(spec=parse_spec(spec))
    steered = steer(model, inputs, recipe)
    moved = levels_apart(
        steered, inputs, model.domain if levels else build(bounds=(-1.0, 3.0)).domain
    )
    assert moved.max() == pytest.approx(1, abs=1e-3)
    assert (moved.flatten(1) > 0.5).sum(dim=1).max() <= search.CHANGES
    before, after = (
        recipe.spec.margin(run_network(model.network, each)) for each in (inputs, steered)
    )
    same = (moved.flatten(1) == 0).all(dim=1).numpy()
    assert (after[~same] > before[~same]).all()
    assert (~same).sum() >= len(inputs) // 2


def test_steering_takes_the_best_of_all_neighbours(model, starts, monkeypatch):
    inputs, recipe = starts(model.domain, 2), Recipe(spec=parse_spec("probs:3"), seed=9)
    tried = []
    true = search.measure_margin

    def measure(model, samples, recipe):
        tried.append(samples)
        return true(model, samples, recipe)

    monkeypatch.setattr(search, "measure_margin", measure)
    steered = steer(model, inputs, recipe)
    assert len(tried) == NEIGHBOURS + 1
    for row, one in enumerate(steered):
        options = [samples[row] for samples in tried]
        margins = [float(true(model, each[None], recipe)[0]) for each in options]
        assert torch.equal(one, options[int(np.argmax(margins))])


def test_steering_passes_over_scores_that_are_no_numbers(build, starts):
    class Broken(nn.Module):
        """Gives infinities for the first input, whatever its neighbours are."""

        def forward(self, inputs):
            scores = inputs.flatten(1)[:, :3].clone()
            scores[0] = torch.inf
            return scores

    model = build(network=Broken())
    inputs = starts(model.domain, 3)
    steered = steer(model, inputs, Recipe(spec=parse_spec("probs:3")))
    assert torch.equal(steered[0], inputs[0])
    assert not torch.equal(steered[1:], inputs[1:])


def test_more_shown_labels_than_classes_are_refused(model, starts):
    with pytest.raises(InvalidArgumentError, match=r"^6 labels need as many classes, not 5$"):
        make_boundary(model, starts(model.domain), Recipe(spec=TopLabels(6)))


def test_a_network_of_one_class_has_nothing_that_could_tie(build, starts):
    model = build(network=nn.Sequential(nn.Flatten(), nn.Linear(192, 1)))
    with pytest.raises(InvalidArgumentError, match=r"got 1$"):
        make_boundary(model, starts(model.domain), Recipe())


def test_the_class_that_is_least_likely_on_the_natural_input_leads(model, naturals):
    inputs = to_tensor(model, naturals(model.domain))
    least = score(model.network, inputs).argmin(dim=1)
    made = make_boundary(model, inputs, Recipe())
    assert (score(model.network, made).argmax(dim=1) == least).float().mean() > 0.9


def test_a_class_that_overtakes_a_tie_takes_part_in_it(build, starts, monkeypatch):
    model = build()
    linear = nn.Linear(model.domain.shape[0] * 64, 5)
    slope = 0.05 * torch.randn(linear.in_features, generator=torch.Generator().manual_seed(0))
    # Where the first class sinks to the second one the last one rises above both.
    linear.weight.data = torch.stack([slope, 0 * slope, 0 * slope, 0 * slope, -slope])
    linear.bias.data = torch.tensor([0.5, 0.0, -3.0, -4.0, -0.2])
    linear.bias.data -= linear.weight.data @ starts(model.domain, 1).flatten()
    network = nn.Sequential(nn.Flatten(), linear).requires_grad_(requires_grad=False)
    model, inputs = replace(model, network=network), starts(model.domain, 1)
    near, ranking = approach(model, inputs, Recipe(margin=1e-3, tied=2))
    scores = score(network, near)
    assert set(ranking.classes[0].tolist()) < {0, 1, 4}
    assert best_outside(scores, ranking) < scores.gather(1, ranking.classes).amin(1) + 1e-4
    clean = score(network, inputs)
    assert torch.equal(ranking.classes, ranking.sort_by(clean).reverse().classes)
    monkeypatch.setattr(search, "CHANGES_OF_MIND", 1)
    _, first = approach(model, inputs, Recipe(margin=1e-3, tied=2))
    # Once more is what it takes: after the first way the tie is one of the two highest.
    assert set(first.classes[0].tolist()) != {0, 1}
    assert set(first.classes[0].tolist()) == set(ranking.classes[0].tolist())
