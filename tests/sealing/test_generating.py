from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from math import inf, log10, nan

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from modelseal.calibration.noise import Calibration
from modelseal.calibration.running import run_network
from modelseal.calibration.variants import Replaced, fp32_variants
from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError, SealingError
from modelseal.fingerprint.codec import decode, encode
from modelseal.fingerprint.digest import weights_digest
from modelseal.models.loading import Model
from modelseal.models.normalising import Normalised
from modelseal.outputs.specs import Probabilities, TopLabels, parse_spec
from modelseal.sealing import generating
from modelseal.sealing.generating import accept, digest_network, draw, generate, list_variants
from modelseal.sealing.recipe import Method, Recipe

KINDS = [
    (256, {}),
    (256, {"margin": 1e-3, "tied": 3}),
    (256, {"factor": 25.0}),
    (16, {"margin": 2e-3}),
    (0, {"margin": 1e-3}),
    (256, {"spec": parse_spec("topk:3")}),
    (0, {"spec": parse_spec("topk:3"), "margin": 1e-3}),
    (256, {"spec": parse_spec("probs:3")}),
    (0, {"spec": parse_spec("probs:3")}),
    (256, {"spec": parse_spec("topprobs:2:4"), "margin": 2e-6}),
    (256, {"spec": parse_spec("scores:0.01")}),
    (0, {"spec": parse_spec("scores:1e-05")}),
    (256, {"method": Method.NATURAL}),
]


@pytest.fixture(scope="module")
def known():
    """Keeps what was made for each kind: many tests look at it."""
    return {}


@pytest.fixture(params=range(len(KINDS)), ids=lambda number: f"{KINDS[number]}")
def made(request, known, build, naturals, quick):
    """A model, natural inputs for it, the recipe, and the candidates that were made."""
    number = request.param
    if number not in known:
        levels, changes = KINDS[number]
        model = build(levels=levels, bounds=(-0.5, 1.5))
        codes, recipe = naturals(model.domain), Recipe(variants=quick, **changes)
        known[number] = (model, codes, recipe, generate(model, codes, recipe=recipe, candidates=12))
    return known[number]


def scores_alone(model, codes):
    """The scores in double precision, one input at a time."""
    network = model.network.double()
    with torch.no_grad():
        rows = [
            network(torch.from_numpy(model.domain.decode(codes[[row]])).double())
            for row in range(len(codes))
        ]
    network.float()
    return torch.cat(rows).numpy()


def probabilities(row):
    weights = [np.exp(score - max(row)) for score in row]
    return [weight / sum(weights) for weight in weights]


def test_most_candidates_are_accepted(made):
    assert 8 <= len(made[3]) <= 12


def test_samples_lie_on_the_levels_and_within_the_bounds(made):
    model, _, _, found = made
    assert found.samples.dtype == (np.uint8 if model.domain.levels else np.float32)
    assert model.domain.contains(model.domain.decode(found.samples)).all()


def test_the_margin_is_at_least_the_factor_times_the_move_and_what_the_recipe_asks_for(made):
    _, _, recipe, found = made
    assert found.factor == recipe.factor
    assert (found.moves > 0).all()
    assert (found.margins >= recipe.factor * found.moves).all()
    assert (found.margins >= (recipe.margin or 0)).all()


def test_expected_is_what_the_network_itself_shows(made):
    model, _, recipe, found = made
    shown = recipe.spec.reveal(scores_alone(model, found.samples))
    assert recipe.spec.agree(found.expected, shown).all()
    assert (found.classes, found.names) == (5, model.names)


def test_no_change_of_the_scores_below_the_margin_shows(made):
    model, _, recipe, found = made
    spec, text = recipe.spec, str(recipe.spec)
    for row, scores in enumerate(scores_alone(model, found.samples).tolist()):
        margin = found.margins[row] - found.moves[row]
        if text.startswith("top"):
            shown = probabilities(scores) if text.startswith("topprobs") else scores
            best = sorted(shown, reverse=True)
            gaps = [best[place] - best[place + 1] for place in range(spec.count)]
            assert min(gaps) >= margin
        if "probs" in text:
            shown = sorted(probabilities(scores), reverse=True)
            for value in shown[: getattr(spec, "count", 5)]:
                assert round(value - margin, spec.digits) == round(value + margin, spec.digits)
        if text.startswith("scores"):
            assert found.margins[row] == spec.tolerance


def test_no_variant_moves_a_sample_further_than_the_fingerprint_says(made):
    model, _, recipe, found = made
    inputs = generating.to_tensor(model, found.samples)
    scores = run_network(model.network, inputs)
    for variant in recipe.variants:
        others = variant(model.network, inputs)
        # Beside other inputs than in calibration the last digits may come out otherwise.
        assert (recipe.spec.move(scores, others) <= 2 * found.moves).all()
        assert recipe.spec.agree(found.expected, recipe.spec.reveal(others)).all()


def test_sources_are_the_natural_inputs_that_the_samples_are_near(made):
    model, codes, recipe, found = made
    samples, naturals = (model.domain.decode(each) for each in (found.samples, codes))
    distances = ((samples[:, None] - naturals[None]) ** 2).sum(axis=(2, 3, 4))
    assert found.sources.tolist() == distances.argmin(axis=1).tolist()
    assert len(set(found.sources.tolist())) == len(found)
    assert (distances.min(axis=1) == 0).all() == (recipe.method is Method.NATURAL)


def test_psnr_is_that_of_the_stored_sample_against_the_stored_natural_input(made):
    model, codes, _, found = made
    domain = model.domain
    unit = domain.span / (domain.levels - 1) if domain.levels else 1.0
    for row, psnr in enumerate(found.psnr):
        pairs = zip(found.samples[row].flat, codes[found.sources[row]].flat, strict=True)
        errors = [((float(one) - float(other)) * unit) ** 2 for one, other in pairs]
        error = sum(errors) / len(errors)
        slow = 10 * log10(domain.span**2 / error) if error else inf
        assert psnr == pytest.approx(slow, abs=1e-3)


def test_the_origin_says_how_it_was_made(made):
    model, _, recipe, found = made
    origin = found.origin
    assert (found.domain, str(found.spec)) == (model.domain, str(recipe.spec))
    assert (origin.method, origin.seed) == (recipe.method.value, recipe.seed)
    assert origin.parameters == {
        "tied": recipe.tied,
        "margin": recipe.margin or "automatic",
        "factor": recipe.factor,
        "candidates": 12,
        "accepted": len(found),
    }
    assert origin.packages == {name: version(name) for name in ("modelseal", "numpy", "torch")}
    assert origin.variants == tuple(variant.name for variant in recipe.variants)
    assert origin.harmless_answers == len(recipe.variants) * len(found)
    assert origin.weights_digest == digest_network(model.network)


def test_what_was_made_survives_the_file(made):
    found = made[3]
    data = encode(found)
    assert encode(decode(data, name="file")) == data


def test_it_says_when_it_was_made(model, naturals, quick):
    before = datetime.now(UTC).replace(microsecond=0)
    recipe = Recipe(variants=quick, method=Method.NATURAL)
    found = generate(model, naturals(model.domain), recipe=recipe, candidates=2)
    assert before <= datetime.fromisoformat(found.origin.created) <= datetime.now(UTC)


def timeless(found):
    """The bytes of a fingerprint, but for the time of making."""
    return encode(replace(found, origin=replace(found.origin, created="2026-01-01T00:00:00Z")))


@pytest.mark.parametrize("spec", ["top1", "probs:4"])
def test_the_same_seed_makes_the_same_bytes_and_another_seed_other_samples(
    model, naturals, quick, spec
):
    one, again, other = (
        generate(
            model,
            naturals(model.domain),
            recipe=Recipe(variants=quick, spec=parse_spec(spec), seed=seed),
            candidates=6,
        )
        for seed in (3, 3, 4)
    )
    assert timeless(one) == timeless(again)
    assert one.sources.tolist() != other.sources.tolist()
    assert not np.array_equal(one.samples, other.samples)


def test_all_are_made_and_told_of_whatever_the_pieces(model, naturals, quick, monkeypatch):
    told = []
    recipe = Recipe(variants=quick, margin=1e-3)
    whole = generate(model, naturals(model.domain), recipe=recipe, candidates=12)
    monkeypatch.setattr(generating, "PIECE", 5)
    found = generate(
        model,
        naturals(model.domain),
        recipe=recipe,
        candidates=12,
        progress=lambda *news: told.append(news),
    )
    generated = [("generate", done, 12) for done in (0, 5, 10, 12)]
    calibrated = [("calibrate", done, len(quick)) for done in range(1, len(quick) + 1)]
    assert told == generated + calibrated
    assert found.sources.tolist() == whole.sources.tolist()


def test_of_fewer_natural_inputs_than_candidates_all_are_used(model, naturals, quick):
    recipe = Recipe(variants=quick, method=Method.NATURAL)
    found = generate(model, naturals(model.domain, 3), recipe=recipe, candidates=64)
    assert sorted(found.sources.tolist()) == [0, 1, 2]
    assert found.origin.parameters["candidates"] == 3


@given(count=st.integers(1, 30), candidates=st.integers(1, 40), seed=st.integers(0, 2**63 - 1))
def test_a_draw_takes_each_natural_input_at_most_once(count, candidates, seed):
    model = Model(network=nn.Flatten(), domain=Domain(shape=(2,)))
    rows = draw(model, np.zeros((count, 2), np.uint8), candidates, seed).tolist()
    assert len(rows) == len(set(rows)) == min(count, candidates)
    assert set(rows) <= set(range(count))


@pytest.mark.parametrize(
    ("naturals", "candidates", "problem"),
    [
        (np.zeros((0, 2), np.uint8), 4, r"at least 1 candidate and 1 natural .* got 4 and 0$"),
        (np.zeros((3, 2), np.uint8), 0, r"at least 1 candidate and 1 natural .* got 0 and 3$"),
        (np.zeros((3, 2), np.uint8), -1, r"at least 1 candidate and 1 natural .* got -1 and 3$"),
        (np.zeros((3, 2, 1), np.uint8), 4, r"inputs need shape \(batch, 2\) .*\(3, 2, 1\)"),
        (np.zeros((3, 2), np.float32), 4, r"and type uint8, but have \(3, 2\) and float32"),
        (np.full((3, 2), 200, np.uint8), 4, r"inputs need levels 0 to 99, but one is 200"),
    ],
)
def test_natural_inputs_that_do_not_fit_are_refused(naturals, candidates, problem):
    model = Model(network=nn.Flatten(), domain=Domain(shape=(2,), levels=100))
    with pytest.raises(InvalidArgumentError, match=problem):
        generate(model, naturals, recipe=Recipe(), candidates=candidates)


def test_natural_inputs_outside_of_a_continuous_domain_are_refused():
    model = Model(network=nn.Flatten(), domain=Domain(shape=(2,), levels=0))
    with pytest.raises(InvalidArgumentError, match=r"inputs need values within \[0.0, 1.0\]"):
        generate(model, np.full((3, 2), 1.5, np.float32), recipe=Recipe())


def test_the_harmless_ways_are_all_float32_ways_and_all_orders_of_the_normalisation(build, network):
    plain = [variant.name for variant in fp32_variants()]
    assert [variant.name for variant in list_variants(build())] == plain
    normalised = Normalised(network(), mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 0.1])
    listed = list_variants(build(network=normalised))
    orders = listed[len(plain) :]
    assert [variant.name for variant in listed[: len(plain)]] == plain
    assert len(orders) == 4
    inputs = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = run_network(normalised, inputs)
    for order in orders:
        assert isinstance(order, Replaced)
        assert order(normalised, inputs) == pytest.approx(expected, abs=1e-5)


def test_without_variants_of_its_own_a_recipe_is_calibrated_in_all(
    build, network, naturals, quick, monkeypatch
):
    monkeypatch.setattr(generating, "fp32_variants", lambda: quick)
    model = build(network=Normalised(network(), mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 0.1]))
    recipe = Recipe(method=Method.NATURAL)
    found = generate(model, naturals(model.domain, 4), recipe=recipe)
    names = [variant.name for variant in quick]
    orders = ["multiply-add", "divide first", "float64 normalisation", "255 first"]
    assert found.origin.variants == (*names, *orders)


def calibration(margins, moves, silent=None):
    """What a calibration found, by hand."""
    count = len(margins)
    return Calibration(
        variants=("one",),
        skipped=(),
        margins=np.array(margins, float),
        moves=np.array(moves, float),
        moves_by_variant={},
        silent=np.array([True] * count if silent is None else silent),
    )


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        # The third needs 10 and has 9, the fourth was flipped, the fifth is no number; the median
        # need of the rest is 2, so that up to 20 is no failed tie, or 10 times its own need.
        ({}, [1, 1, 0, 0, 0, 1, 0, 1]),
        ({"margin": 1.5}, [0, 1, 0, 0, 0, 1, 0, 1]),
        ({"factor": 9.0}, [1, 1, 1, 0, 0, 0, 0, 1]),
        ({"method": Method.NATURAL}, [1, 1, 0, 0, 0, 1, 1, 1]),
        ({"spec": Probabilities(3)}, [1, 1, 0, 0, 0, 1, 1, 1]),
        ({"spec": TopLabels(3)}, [1, 1, 0, 0, 0, 1, 0, 1]),
    ],
)
def test_accepted_is_what_has_the_margin_that_it_needs_and_not_far_more(changes, kept):
    found = calibration(
        margins=[1, 3, 9, 5, nan, 20, 21, 99],
        moves=[0.1, 0.2, 1, 0.1, nan, 0.2, 0.2, 9.9],
        silent=[True, True, True, False, True, True, True, True],
    )
    assert accept(found, Recipe(**changes)).tolist() == [bool(each) for each in kept]


def test_when_none_is_accepted_the_error_says_what_was_needed():
    found = calibration(margins=[0.5, nan, 0.25, 0.125], moves=[0.1, nan, 0.2, 0.3])
    problem = (
        r"^none of 4 candidates can be used: a margin of 2 is needed, but the median is 0\.25; "
        "try more candidates, other natural inputs or a smaller tie$"
    )
    with pytest.raises(SealingError, match=problem):
        accept(found, Recipe())


class Constant(nn.Module):
    """The same scores whatever it is given, with or without a gradient."""

    def __init__(self, *scores, slope=0.0):
        super().__init__()
        self.scores = nn.Parameter(torch.tensor(scores), requires_grad=False)
        self.slope = slope

    def forward(self, inputs):
        scores = self.scores.expand(len(inputs), -1)
        return scores if self.slope is None else scores + self.slope * inputs.flatten(1)[:, :1]


@pytest.mark.parametrize("levels", [0, 256])
@pytest.mark.parametrize(
    ("network", "problem"),
    [
        (Constant(1.0, 1.0, 1.0), "none of 4 candidates .* is needed, but the median is 0;"),
        (Constant(1.0, 2.0, 4.0), "none of 4 candidates .* is needed, but the median is 2;"),
        (Constant(1.0, 2.0, slope=nan), "finite scores were wanted, but none of 4 candidates has"),
        (Constant(1.0, 2.0, slope=None), "the network cannot be run in this way: element 0 of"),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(192, 3), nn.Threshold(1e9, 0.0)),
            "none of 4 candidates .* is needed, but the median is 0;",
        ),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(7, 3)),
            "the network cannot be run in this way: mat1 and mat2 shapes cannot be multiplied",
        ),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(192, 3)).double(),
            "the network cannot be run in this way: mat1 and mat2 must have the same dtype",
        ),
    ],
)
def test_a_hopeless_network_gives_an_error_and_no_fingerprint(
    build, naturals, quick, network, problem, levels
):
    model = build(network=network.eval().requires_grad_(requires_grad=False), levels=levels)
    codes = naturals(model.domain, 4)
    with pytest.raises(SealingError, match=f"^{problem}"):
        generate(replace(model, names=()), codes, recipe=Recipe(variants=quick))


def test_one_input_without_finite_scores_spoils_no_other(build, network, naturals, quick):
    class Picky(nn.Module):
        """Gives NaN for dark inputs, judged by their first value, which then is never moved."""

        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, inputs):
            first = inputs[:, 0, 0, 0, None].detach()
            return self.inner(inputs) + torch.where(first < 0.01, nan, 0.0)

    model = build(network=Picky())
    codes = naturals(model.domain, 6)
    codes[:, 0, 0, 0], codes[2, 0, 0, 0] = 128, 0
    found = generate(model, codes, recipe=Recipe(variants=quick))
    assert 2 not in found.sources
    assert len(found) >= 4


def test_without_any_variant_nothing_is_sealed(model, naturals):
    with pytest.raises(SealingError, match=r"needs a variant that can be run \(none came\)"):
        generate(model, naturals(model.domain, 2), recipe=Recipe(variants=()))


def test_a_network_without_weights_of_its_own_can_be_sealed(build, naturals, quick):
    class Fixed(nn.Module):
        """Random directions that no parameter holds."""

        def forward(self, inputs):
            source = torch.Generator().manual_seed(0)
            directions = torch.randn(192, 4, generator=source).to(inputs)
            return (inputs.flatten(1) @ directions / 30).tanh()

    model = replace(build(network=Fixed()), names=())
    found = generate(model, naturals(model.domain, 6), recipe=Recipe(variants=quick, margin=1e-3))
    assert found.origin.weights_digest == weights_digest({})
    assert found.classes == 4


class Noted(nn.Module):
    """A layer with weights of any type, and a note that is no tensor."""

    def __init__(self, dtype, note="as made"):
        super().__init__()
        self.weight = nn.Parameter(torch.arange(6.0).reshape(3, 2).to(dtype))
        self.register_buffer("count", torch.tensor(7))
        self.note = note

    def get_extra_state(self):
        return self.note


def test_the_digest_is_that_of_all_weights_and_statistics():
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    arrays = {name: tensor.detach().numpy().copy() for name, tensor in network.state_dict().items()}
    assert len(arrays) == 7
    assert digest_network(network) == weights_digest(arrays)
    network[1].running_var[1] += 1e-6  # numbers that no optimiser touches count as well
    assert digest_network(network) != weights_digest(arrays)


@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64, torch.complex64]
)
def test_one_changed_bit_changes_the_digest_whatever_the_type_of_the_weights(dtype):
    network, same, changed = Noted(dtype), Noted(dtype), Noted(dtype)
    with torch.no_grad():
        changed.weight.view(torch.uint8)[0, 0] ^= 1
        same.weight.data = same.weight.T.contiguous().T
    assert not same.weight.is_contiguous()
    assert digest_network(network) == digest_network(same)
    assert digest_network(network) != digest_network(changed)


def test_what_a_module_notes_beside_its_tensors_is_no_part_of_the_digest():
    plain, other = Noted(torch.float32), Noted(torch.float32, note="copied")
    assert digest_network(plain) == digest_network(other)
