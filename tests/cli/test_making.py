from dataclasses import replace
from pathlib import Path

import pytest

from modelseal.cli.options import Method
from modelseal.cli.seal import allow_precisions, check_counts, load_inputs, make_recipe
from modelseal.enums import Precision
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.outputs.specs import TopLabels
from modelseal.sealing.recipe import Method as SealingMethod
from modelseal.sealing.recipe import Recipe

OPTIONS = {
    "spec": "topk:2",
    "method": Method.ASCENT,
    "tie": 4,
    "margin": 0.5,
    "factor": 20.0,
    "seed": 3,
}


def test_the_options_become_a_recipe():
    recipe = make_recipe(**OPTIONS)
    assert recipe == Recipe(
        method=SealingMethod.ASCENT, spec=TopLabels(2), tied=4, margin=0.5, factor=20.0, seed=3
    )


@pytest.mark.parametrize("margin", [0.0, -1.0, float("nan"), float("inf")])
def test_a_margin_that_is_not_above_0_is_refused(margin):
    with pytest.raises(InvalidArgumentError, match=f"margin needs .*{margin}"):
        make_recipe(**{**OPTIONS, "margin": margin})


@pytest.mark.parametrize("factor", [0.5, float("nan"), float("inf")])
def test_a_factor_below_1_or_without_end_is_refused(factor):
    with pytest.raises(InvalidArgumentError, match=f"factor needs .*{factor}"):
        make_recipe(**{**OPTIONS, "factor": factor})


@pytest.mark.parametrize("spec", ["top5", "topk:0", "probs:x", ""])
def test_a_spec_that_is_none_is_refused(spec):
    with pytest.raises(
        InvalidArgumentError, match=r"(expected top1, topk:K|count: )"
    ):
        make_recipe(**{**OPTIONS, "spec": spec})


def test_words_become_allowed_precisions_of_the_same_recipe():
    recipe = make_recipe(**OPTIONS)
    assert allow_precisions(recipe, "") == recipe
    allowed = allow_precisions(recipe, "fp16,int8")
    assert allowed.allowed == {Precision.FP16, Precision.INT8}
    assert replace(allowed, allowed=()) == recipe


def test_a_precision_that_is_none_is_refused():
    with pytest.raises(InvalidArgumentError, match=r"of tf32, bf16, fp16, int8, .* 'half'"):
        allow_precisions(make_recipe(**OPTIONS), "half")


def test_as_many_samples_as_candidates_are_enough_and_one_more_is_too_many():
    check_counts(samples=8, candidates=8)
    with pytest.raises(InvalidArgumentError, match="at least --samples, but 8 is less than 9"):
        check_counts(samples=9, candidates=8)


def test_the_network_and_its_images_are_loaded(model, folder):
    network, naturals = load_inputs(model(), folder / "images.npz", samples=12)
    assert network.domain.shape == (1, 8, 8)
    assert naturals.shape == (12, 1, 8, 8)


def test_fewer_images_than_samples_are_refused(model, folder):
    with pytest.raises(BadFileError, match=r"images.npz: at least 13 images .*, not 12"):
        load_inputs(model(), folder / "images.npz", samples=13)


def test_missing_images_are_noticed_before_the_network_is_built(folder):
    with pytest.raises(BadFileError, match=r"no: a folder of images or an .npz file was wanted"):
        load_inputs(Path("missing.toml"), Path("no"))
