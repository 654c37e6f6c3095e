from dataclasses import replace

import numpy as np
import pytest
import torch

from modelseal.calibration.calibrate import calibrate
from modelseal.endpoints.endpoint import CallableEndpoint
from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.codec import decode, encode
from modelseal.outputs.specs import RawScores, TopLabels
from modelseal.sealing.candidates import generate, to_tensor
from modelseal.sealing.neighbours import POOL, Effects, find_neighbours, measure_effects, propose
from modelseal.sealing.recipe import Recipe
from modelseal.verdict import Outcome
from modelseal.verification.enrollment import enroll
from modelseal.verification.verify import verify

SPECS = (TopLabels(), TopLabels(2), RawScores(0.01))


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_neighbours_are_a_level_away_and_answer_as_their_sample_in_every_variant(
    model, naturals, quick, spec
):
    recipe = Recipe(variants=quick, spec=spec, tied=3)
    found = generate(model, naturals(model.domain, 6), recipe=recipe)
    made = find_neighbours(model, found, recipe, count=3)
    assert made.neighbours.shape == (len(found), 3)
    assert (made.neighbours != 0).mean() > 0.9
    for number in range(len(made)):
        faces = made.faces(number)
        changes = np.abs(faces[1:].astype(int) - faces[0]).reshape(len(faces) - 1, -1)
        assert (changes.sum(axis=1) == 1).all()
        if len(faces) == 1:
            continue
        inputs = to_tensor(model, faces[1:])
        shown = calibrate(model.network, inputs, spec=spec, variants=quick)
        assert shown.accepted(1.0).all()
        assert (shown.margins >= recipe.factor * found.moves[number]).all()
        expected = made.expected.take(np.full(len(inputs), number))
        with torch.no_grad():
            answers = spec.reveal(model.network(inputs).numpy())
        assert spec.agree(expected, answers).all()
    assert (decode(encode(made), name="a.seal").neighbours == made.neighbours).all()


def test_where_no_neighbour_will_do_there_is_none(model, found, quick):
    recipe = Recipe(variants=quick, margin=1e3)
    made = find_neighbours(model, found.take(np.arange(2)), recipe, count=2)
    assert (made.neighbours == 0).all()
    assert len(made.faces(1)) == 1


def test_neighbours_change_values_of_little_influence_chosen_by_the_seed(model, found, quick):
    few = found.take(np.arange(2))
    recipes = [Recipe(variants=quick, seed=seed) for seed in (0, 0, 1)]
    made = [find_neighbours(model, few, each, count=2).neighbours for each in recipes]
    assert (made[0] == made[1]).all()
    assert (made[0] != made[2]).any()
    for effects, moves in zip(measure_effects(model, few, recipes[0]), made[0], strict=True):
        every = np.concatenate([np.arange(1, 193), -np.arange(1, 193)])
        steps = every[effects.predict(every)]
        weights = np.sort(effects.weigh(steps))
        assert (effects.weigh(moves[moves != 0]) <= weights[min(POOL, len(steps)) - 1]).all()


def test_the_effects_of_steps_are_the_slopes_of_the_gaps(model, found, quick):
    (effects,) = measure_effects(model, found.take(np.arange(1)), Recipe(variants=quick))
    sample, part = to_tensor(model, found.samples[[0]]), 1e-4
    order = model.network(sample)[0].argsort(descending=True)
    model.network.double()
    for place in (0, 77, 191):
        moved = sample.double().clone()
        moved.view(-1)[place] += part * model.domain.step
        scores = model.network(torch.cat([sample.double(), moved]))[:, order]
        before, after = scores[:, :1] - scores[:, 1:]
        assert np.allclose(effects.slopes[:, place], ((after - before) / part).numpy(), atol=1e-6)


def test_a_step_that_lowers_the_smallest_gap_is_not_proposed():
    effects = Effects(gaps=np.array([0.5, 1.0]), slopes=np.array([[0.1, -0.1]] * 2), strict=True)
    assert effects.predict(np.array([1, 2, -1, -2])).tolist() == [True, False, False, True]
    loose = Effects(gaps=effects.gaps, slopes=effects.slopes, strict=False)
    assert loose.predict(np.array([1, 2, -1, -2])).all()


def test_no_step_leads_beyond_the_levels():
    effects = Effects(gaps=np.zeros(1), slopes=np.zeros((1, 3)), strict=True)
    sample = np.array([0, 255, 7], np.uint8)
    steps = propose(sample, effects, levels=256, generator=np.random.default_rng(0))
    assert sorted(steps) == [-3, -2, 1, 3]


def test_none_is_sought_if_none_is_wanted(model, found, quick):
    assert find_neighbours(model, found, Recipe(variants=quick), count=0) is found


def test_a_domain_without_levels_has_no_neighbours(build, naturals, quick):
    model = build(levels=0)
    recipe = Recipe(variants=quick)
    found = generate(model, naturals(model.domain, 4), recipe=recipe)
    with pytest.raises(InvalidArgumentError, match=r"neighbours need levels.* but got 0 levels"):
        find_neighbours(model, found, recipe, count=3)


def test_a_negative_number_of_neighbours_is_refused(model, found, quick):
    with pytest.raises(InvalidArgumentError, match="got 256 levels, 5 classes and -1 nei"):
        find_neighbours(model, found, Recipe(variants=quick), count=-1)


def test_progress_is_told_for_every_sample(model, found, quick):
    reports = []
    few = found.take(np.arange(3))
    find_neighbours(
        model,
        few,
        Recipe(variants=quick),
        count=1,
        progress=lambda *report: reports.append(report),
    )
    assert reports == [("neighbours", number, 3) for number in (1, 2, 3)]


def serve(network, domain):
    def run(inputs):
        with torch.no_grad():
            return network(torch.from_numpy(inputs)).numpy()

    return CallableEndpoint(run, domain)


class Table:
    """Answers the samples that it knows from a table, and all else from another network."""

    def __init__(self, fingerprint, behind):
        self.known = {
            sample.tobytes(): fingerprint.expected.take(np.array([number]))
            for number, sample in enumerate(fingerprint.samples)
        }
        self.behind = behind

    def ask(self, codes):
        return self.known.get(codes[0].tobytes()) or self.behind.ask(codes)


def test_a_table_of_the_samples_before_another_network_passes_only_without_neighbours(
    model, network, found, quick
):
    plain = found.take(np.arange(6))
    guarded = find_neighbours(model, plain, Recipe(variants=quick), count=3)
    table = Table(plain, serve(network(seed=1), model.domain))
    source = np.random.default_rng(0)
    assert verify(guarded, table, generator=source).outcome is Outcome.INTACT
    assert verify(guarded, table, generator=source, neighbours=True).outcome is Outcome.TAMPERED
    own = serve(model.network, model.domain)
    assert verify(guarded, own, generator=source, neighbours=True).outcome is Outcome.INTACT


def test_the_same_holds_for_an_enrolled_fingerprint(model, network, found, quick):
    own, table = serve(model.network, model.domain), None
    outcomes = []
    for count in (0, 3):
        made = find_neighbours(model, found.take(np.arange(4)), Recipe(variants=quick), count=count)
        source = np.random.default_rng(0)
        enrolled = enroll(made, own, generator=source)
        assert verify(enrolled, own, generator=source).outcome is Outcome.INTACT
        table = Table(enrolled, serve(network(seed=1), model.domain))
        outcomes.append(verify(enrolled, table, generator=source).outcome)
    assert outcomes == [Outcome.INTACT, Outcome.TAMPERED]


def test_what_was_measured_is_kept(model, found, quick):
    few = replace(found.take(np.arange(2)), power=())
    made = find_neighbours(model, few, Recipe(variants=quick), count=1)
    assert (made.samples == few.samples).all()
    assert (made.margins == few.margins).all()
