from dataclasses import FrozenInstanceError
from math import inf, nan

import pytest

from modelseal.calibration.precision import LowPrecision
from modelseal.calibration.variants import Float64
from modelseal.enums import Precision
from modelseal.errors import InvalidArgumentError
from modelseal.outputs.specs import parse_spec
from modelseal.sealing.recipe import Method, Recipe, Rule

METHODS = {
    *("boundary", "natural", "misclassified", "noise", "legacy"),
    *("ascent", "ascent-all", "ibsf", "ibsf-tuned", "two-class"),
}


def test_by_default_ten_classes_tie_for_one_shown_label_in_all_float32_ways():
    recipe = Recipe()
    assert (recipe.method, str(recipe.spec), recipe.tied) == (Method.BOUNDARY, "top1", 10)
    assert (recipe.margin, recipe.factor, recipe.seed) == (None, 3.0, 0)
    assert recipe.variants is None


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"tied": 1}, "a tie needs at least 2 classes, but got 1"),
        ({"margin": 0.0}, "a margin needs to be finite and above 0, but is 0.0"),
        ({"margin": -0.5}, "a margin needs to be finite and above 0, but is -0.5"),
        ({"margin": nan}, "a margin needs to be finite and above 0, but is nan"),
        ({"margin": inf}, "a margin needs to be finite and above 0, but is inf"),
        ({"factor": 0.99}, "a safety factor needs to be 1 or more, but is 0.99"),
        ({"factor": nan}, "a safety factor needs to be 1 or more, but is nan"),
        ({"factor": inf}, "a safety factor needs to be 1 or more, but is inf"),
        ({"seed": -1}, r"a seed needs to be 0 to 2\^63 - 1, but is -1"),
        ({"seed": 2**63}, r"a seed needs to be 0 to 2\^63 - 1, but is 9223372036854775808"),
    ],
)
def test_a_value_out_of_its_range_is_refused(changes, problem):
    with pytest.raises(InvalidArgumentError, match=f"^{problem}$"):
        Recipe(**changes)


@pytest.mark.parametrize(
    "changes", [{"tied": 2}, {"margin": 1e-300}, {"factor": 1.0}, {"seed": 2**63 - 1}]
)
def test_the_ends_of_the_ranges_are_allowed(changes):
    name, value = next(iter(changes.items()))
    assert getattr(Recipe(**changes), name) == value


def test_a_recipe_cannot_be_changed():
    with pytest.raises(FrozenInstanceError, match="seed"):
        Recipe().seed = 1


@pytest.mark.parametrize(
    ("spec", "shown"),
    [("top1", 1), ("topk:3", 3), ("topprobs:2:3", 1), ("probs:4", 1), ("scores:0.1", 1)],
)
def test_only_labels_in_order_need_gaps_of_their_own(spec, shown):
    assert Recipe(spec=parse_spec(spec)).shown == shown


def test_the_parameters_say_how_large_the_margin_had_to_be():
    assert Recipe(tied=4, factor=20.0).parameters == {
        "tied": 4,
        "margin": "automatic",
        "factor": 20.0,
    }
    assert Recipe(margin=0.25).parameters["margin"] == 0.25


def test_the_parameters_say_what_was_allowed_always_in_the_same_order():
    for allowed in ((Precision.FP16, Precision.BF16), frozenset({Precision.BF16, Precision.FP16})):
        assert Recipe(allowed=allowed).parameters["allowed"] == "bf16, fp16"
    assert "allowed" not in Recipe(allowed=frozenset()).parameters


def test_allowed_precisions_come_beside_other_variants_each_once():
    recipe = Recipe(allowed=(Precision.INT8, Precision.FP16))
    plain = (Float64(), LowPrecision(Precision.FP16))
    assert recipe.with_allowed(plain) == (*plain, LowPrecision(Precision.INT8))
    assert Recipe().with_allowed(list(plain)) == plain


@pytest.mark.parametrize(
    ("kind", "words"),
    [(Method, METHODS), (Rule, {"manc", "random", "margin", "detection"})],
)
def test_the_words_of_the_command_line_name_every_choice(kind, words):
    assert {choice.value for choice in kind} == words
    assert all(kind(word).name == word.upper().replace("-", "_") for word in words)
