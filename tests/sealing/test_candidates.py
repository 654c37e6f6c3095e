"""Which candidates are made and accepted, and what is promised of every one."""

import copy
from dataclasses import replace
from importlib.metadata import version
from math import inf, log10, nan

import numpy as np
import pytest
import torch
from crafted import QUICK, make, recipe, timeless
from refusals import refuses
from torch import nn

from modelseal.calibration.calibrate import Calibration
from modelseal.calibration.variants import (
    ChannelsLast,
    Float64,
    Replaced,
    all_variants,
    fp32_variants,
    reference,
)
from modelseal.domain import Domain
from modelseal.enums import Precision
from modelseal.errors import InvalidArgumentError, SealingError
from modelseal.fingerprint.file_format import decode, encode, weights_digest
from modelseal.models.loader import Model
from modelseal.models.transforms import Normalised
from modelseal.outputs.specs import Probabilities, TopLabels
from modelseal.runtime.inference import run_network
from modelseal.sealing.candidates import (
    accept,
    digest_network,
    list_every_variant,
    list_variants,
    to_tensor,
)
from modelseal.sealing.recipe import Recipe
from modelseal.tampering.weight_changes import Quantised, Rounded

KINDS = [
    (256, {}),
    (0, {}),
    (256, {"margin": 1e-3, "tied": 3}),
    (256, {"factor": 25.0}),
    (16, {"margin": 2e-3}),
    (0, {"margin": 1e-3}),
    (256, {"spec": "topk:3"}),
    (0, {"spec": "topk:3", "margin": 1e-3}),
    (256, {"spec": "probs:3"}),
    (0, {"spec": "probs:3"}),
    (256, {"spec": "topprobs:2:4", "margin": 2e-6}),
    (256, {"spec": "scores:0.01"}),
    (0, {"spec": "scores:1e-05"}),
    (256, {"method": "natural"}),
]


@pytest.fixture(scope="module")
def known():
    """Keeps what was made for each kind: many tests look at it."""
    return {}


@pytest.fixture(params=range(len(KINDS)), ids=lambda number: f"{KINDS[number]}")
def made(request, known, build, naturals):
    """A model, natural inputs for it, the recipe, and the candidates that were made."""
    number = request.param
    if number not in known:
        levels, changes = KINDS[number]
        model = build(levels=levels, bounds=(-0.5, 1.5))
        codes = naturals(model.domain)
        own = recipe(model, **changes)
        known[number] = (model, codes, own, make(model, codes, count=12, **changes))
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


def test_most_candidates_are_accepted_lie_on_the_levels_and_have_the_margin_that_they_need(made):
    model, codes, recipe, found = made
    assert 8 <= len(found) <= 12
    assert found.samples.dtype == (np.uint8 if model.domain.levels else np.float32)
    samples, naturals = (model.domain.decode(each) for each in (found.samples, codes))
    assert model.domain.contains(samples).all()
    assert found.factor == recipe.factor
    assert (found.moves > 0).all()
    assert (found.margins >= recipe.factor * found.moves).all()
    assert (found.margins >= (recipe.margin or 0)).all()
    # Each is near to its source, and to no other natural input.
    distances = ((samples[:, None] - naturals[None]) ** 2).sum(axis=(2, 3, 4))
    assert found.sources.tolist() == distances.argmin(axis=1).tolist()
    assert len(set(found.sources.tolist())) == len(found)
    assert (distances.min(axis=1) == 0).all() == (recipe.method == "natural")


def test_expected_is_what_the_network_itself_shows_and_no_change_below_the_margin_shows(made):
    model, _, recipe, found = made
    spec, text, exact = recipe.spec, str(recipe.spec), scores_alone(model, found.samples)
    assert spec.agree(found.expected, spec.reveal(exact)).all()
    assert (found.classes, found.names) == (5, model.names)
    for row, scores in enumerate(exact.tolist()):
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
    inputs = to_tensor(model, found.samples)
    scores = run_network(model.network, inputs)
    for variant in recipe.variants:
        others = variant(model.network, inputs)
        # Beside other inputs than in calibration the last digits may come out otherwise.
        assert (recipe.spec.move(scores, others) <= 2 * found.moves).all()
        assert recipe.spec.agree(found.expected, recipe.spec.reveal(others)).all()


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


def test_the_origin_says_how_it_was_made_and_survives_the_file(made):
    model, _, recipe, found = made
    origin = found.origin
    assert (found.domain, str(found.spec)) == (model.domain, str(recipe.spec))
    assert (origin.method, origin.seed) == (recipe.method, recipe.seed)
    assert origin.parameters == {
        "tied": recipe.tied,
        "margin": recipe.margin or "automatic",
        "factor": recipe.factor,
        "candidates": 12,
        "accepted": len(found),
        "work": origin.parameters["work"],
    }
    assert origin.packages == {name: version(name) for name in ("modelseal", "numpy", "torch")}
    assert origin.variants == tuple(variant.name for variant in recipe.variants)
    assert origin.harmless_answers == len(recipe.variants) * len(found)
    assert origin.weights_digest == digest_network(model.network)
    data = encode(found)
    assert encode(decode(data, name="file")) == data


@pytest.mark.parametrize("spec", ["top1", "probs:4"])
def test_the_same_seed_makes_the_same_bytes_and_another_seed_other_samples(model, naturals, spec):
    codes = naturals(model.domain)
    one, again, other = (make(model, codes, spec=spec, seed=seed, count=6) for seed in (3, 3, 4))
    assert timeless(one) == timeless(again)
    assert one.sources.tolist() != other.sources.tolist()
    assert not np.array_equal(one.samples, other.samples)


@pytest.mark.parametrize(
    ("naturals", "count", "field"),
    [
        (np.zeros((0, 2), np.uint8), 4, "images"),
        (np.zeros((3, 2), np.uint8), 0, "candidates"),
        (np.zeros((3, 2), np.uint8), -1, "candidates"),
        (np.zeros((3, 2, 1), np.uint8), 4, None),
        (np.zeros((3, 2), np.float32), 4, None),
        (np.full((3, 2), 200, np.uint8), 4, None),
    ],
)
def test_natural_inputs_that_do_not_fit_are_refused(naturals, count, field):
    model = Model(network=nn.Flatten().eval(), domain=Domain(shape=(2,), levels=100))
    with refuses(InvalidArgumentError, field=field):
        make(model, naturals, count=count)


def test_the_harmless_ways_are_all_float32_ways_and_all_orders_of_the_normalisation(build, network):
    plain = [variant.name for variant in fp32_variants()]
    assert [variant.name for variant in list_variants(build())] == plain
    normalised = Normalised(network(), mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 0.1])
    model = build(network=normalised)
    listed = list_variants(model)
    orders = listed[len(plain) :]
    assert [variant.name for variant in listed[: len(plain)]] == plain
    assert len(orders) == 5
    inputs = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = run_network(normalised, inputs)
    for order in orders:
        assert isinstance(order, Replaced)
        assert order(normalised, inputs) == pytest.approx(expected, abs=1e-5)
    # For false alarms there are many more.
    every = list_every_variant(model)
    assert [each.name for each in every[:-5]] == [each.name for each in all_variants(model.domain)]
    assert [each.name for each in every[-5:]] == [each.name for each in orders]
    assert len(every) > 2 * len(listed)


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
    "network",
    [
        Constant(1.0, 1.0, 1.0),
        Constant(1.0, 2.0, 4.0),
        Constant(1.0, 2.0, slope=nan),
        Constant(1.0, 2.0, slope=None),
        nn.Sequential(nn.Flatten(), nn.Linear(192, 3), nn.Threshold(1e9, 0.0)),
        nn.Sequential(nn.Flatten(), nn.Linear(7, 3)),
        nn.Embedding(3, 3),
        nn.Sequential(nn.Flatten(), nn.Linear(192, 3)).double(),
    ],
)
def test_a_hopeless_network_gives_an_error_and_no_fingerprint(build, naturals, network, levels):
    model = build(network=network.eval().requires_grad_(requires_grad=False), levels=levels)
    with refuses(SealingError):
        make(replace(model, names=()), naturals(model.domain, 4))


@pytest.mark.parametrize("spec", ["probs:4", "topprobs:2:4", "scores:0.01"])
def test_shown_numbers_are_not_made_of_probabilities_a_second_time(build, network, naturals, spec):
    model = build(network=network(last=(nn.Softmax(1),)))
    with pytest.raises(SealingError, match="logits"):
        make(model, naturals(model.domain, 4), spec=spec, method="natural")


def test_a_variant_that_could_not_be_run_is_named(naturals):
    network = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
    model = Model(network=network.eval(), domain=Domain(shape=(6,)))
    variants = (ChannelsLast(), Float64())
    origin = make(model, naturals(model.domain, 4), variants=variants, method="natural").origin
    assert origin.variants == ("float64",)
    assert origin.parameters["skipped"] == "channels-last"
    assert origin.harmless_answers == origin.parameters["accepted"]
    with refuses(SealingError):
        make(model, naturals(model.domain, 2), variants=())


def judge(margins, moves, *, naturals=0.0, silent=True, **changes):
    """Which candidates of a calibration are accepted."""
    found = Calibration(
        variants=("one",),
        skipped=(),
        margins=np.array(margins, float),
        moves=np.array(moves, float),
        moves_by_variant={},
        silent=np.broadcast_to(silent, len(margins)),
    )
    own = Recipe(**{"domain": Domain(shape=(2,)), "factor": 10.0, **changes})
    return accept(found, own, naturals=np.broadcast_to(naturals, len(margins))).tolist()


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        # The third needs 10 and has 9, the fourth was flipped, the fifth is no number; the median
        # need of the rest is 2, so that up to 20 is no failed tie, or 10 times its own need.
        ({}, [1, 1, 0, 0, 0, 1, 0, 1]),
        ({"margin": 1.5}, [0, 1, 0, 0, 0, 1, 0, 1]),
        ({"factor": 3.0}, [1, 1, 1, 0, 0, 0, 0, 1]),
        ({"method": "natural"}, [1, 1, 0, 0, 0, 1, 1, 1]),
        ({"spec": Probabilities(3)}, [1, 1, 0, 0, 0, 1, 1, 1]),
        ({"spec": TopLabels(3)}, [1, 1, 0, 0, 0, 1, 0, 1]),
        # A wide margin will do if it is a small share of the natural input's.
        ({"naturals": 2100.0}, [1, 1, 0, 0, 0, 1, 1, 1]),
    ],
)
def test_accepted_is_what_has_the_margin_that_it_needs_and_not_far_more(changes, kept):
    margins, moves = [1, 3, 9, 5, nan, 20, 21, 99], [0.1, 0.2, 1, 0.1, nan, 0.2, 0.2, 9.9]
    silent = [True, True, True, False, True, True, True, True]
    assert judge(margins, moves, silent=silent, **changes) == [bool(each) for each in kept]


def test_when_none_is_accepted_the_error_says_what_was_needed():
    with pytest.raises(SealingError, match=r"margin of 2, got a median of 0\.25"):
        judge([0.5, nan, 0.25, 0.125], [0.1, nan, 0.2, 0.3])
    with pytest.raises(SealingError, match=r"tie of 6 .* at most 20, got a median of 13;.*--tie"):
        judge([0.9, 25, 30, 0.5], [0.1, 0.2, 0.2, 0.3], tied=6)


def wrong(model, found, network):
    """The share of samples that a changed network answers otherwise."""
    inputs = to_tensor(model, found.samples).to(next(network.parameters()).dtype)
    answers = found.spec.reveal(run_network(network, inputs))
    return float((~found.spec.agree(found.expected, answers)).mean())


def test_a_precision_that_is_allowed_is_silent_and_one_that_is_not_is_noticed(model, naturals):
    rounded = Rounded(torch.float16)(model.network)
    half = copy.deepcopy(model.network).half()
    quantised = Quantised(8)(model.network)
    plain, fp16, int8 = (
        make(model, naturals(model.domain, 24), tied=5, count=24, allowed=allowed)
        for allowed in ((), (Precision.FP16,), (Precision.INT8,))
    )
    assert wrong(model, plain, rounded) > 0.3
    assert wrong(model, plain, half) > 0.3
    assert wrong(model, plain, quantised) > 0.5
    assert wrong(model, fp16, rounded) == wrong(model, fp16, half) == 0
    assert wrong(model, int8, quantised) == 0
    assert (len(fp16) >= 8, len(int8) >= 4) == (True, True)
    assert np.median(fp16.margins) > 10 * np.median(plain.margins)


def test_a_precision_that_is_allowed_but_cannot_be_tried_is_an_error(build, naturals):
    class Choosy(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
            self.marker = nn.Parameter(torch.tensor(0.1))

        def forward(self, inputs):
            if self.marker.item() != np.float32(0.1):
                raise RuntimeError("not in this precision")
            return self.inner(inputs)

    model = build(network=Choosy().eval())
    codes = naturals(model.domain)
    assert reference(model.network, to_tensor(model, codes)).shape == (16, 5)
    with pytest.raises(SealingError, match=r"fp16 .*not in this precision"):
        make(model, codes, variants=QUICK[:3], method="natural", allowed=(Precision.FP16,))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_the_digest_is_that_of_all_weights_and_statistics_to_the_last_bit(dtype):
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).to(dtype)
    before = digest_network(network)
    if dtype is not torch.bfloat16:
        arrays = {name: each.detach().numpy() for name, each in network.state_dict().items()}
        assert before == weights_digest(arrays)
    network[0].weight.data = network[0].weight.T.contiguous().T
    assert digest_network(network) == before
    network[1].running_var.view(torch.uint8)[0] ^= 1
    assert digest_network(network) != before
