import planned
import pytest

from modelseal.errors import BadFileError
from modelseal.evaluation.manifest import DigestsPart, FrozenPlan, check_grown
from modelseal.evaluation.plan import read_plan

GRID = '\n[[grids]]\nmethods = ["legacy"]\ntamperings = ["bit"]\n'


@pytest.fixture
def frozen(tmp_path):
    """Freezes a plan with changes."""

    def build(*changes, weights="w", structure="s", torch="2"):
        digests = {"small": DigestsPart(weights=weights, structure=structure, train="t", test="e")}
        plan = read_plan(planned.write_plan(tmp_path, *changes))
        return FrozenPlan(plan=plan, digests=digests, packages={"torch": torch}, trials=6)

    return build


@pytest.mark.parametrize(
    "change",
    [
        ("seeds = 2", "seeds = 3"),
        ("seeds = 2", "seeds = 2" + GRID),
        ('"natural"', '"natural", "legacy"'),
        ('"natural"]', '"natural"]\nspecs = ["top1", "topk:2"]'),
        ('"ftll"', '"ftll", "bit"'),
        ("model.toml", "elsewhere/model.toml"),
        ("count = 2", "count = 2\n[samples.methods.legacy]\nbags = 1\n" + GRID),
        ("[tampering]", "[spotting]\nnaturals = 9\n[tampering]"),
    ],
)
def test_a_plan_that_only_adds_goes_on(frozen, tmp_path, change):
    check_grown(frozen(), frozen(change), file=tmp_path)
    with_more = frozen(change)
    check_grown(with_more, with_more, file=tmp_path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("seeds = 2", "seeds = 1"), "grids: .* x quantisation x top1 x 2 seeds, but .* 1 of them"),
        (('"natural"', '"legacy"'), "grids: .* small x natural x quantisation .* has none of them"),
        (("candidates = 8", "candidates = 9"), "samples.candidates: .* made with 8, but .* has 9"),
        (("count = 2", "count = 3"), "samples.count: .* made with 2, but the plan has 3"),
        (("bag = 4", "bag = 5"), "samples.bag: .* made with 4, but the plan has 5"),
        (
            ("count = 2", 'count = 2\nrules = ["manc"]'),
            "samples.rules: .*, but .* has \\['manc'\\]",
        ),
        (
            ("count = 2", "count = 2\n[samples.methods.natural]\nbags = 1"),
            r"samples.methods.natural: .* made with {}, but the plan has {'bags': 1}",
        ),
        (("images = 24", "images = 25"), "tampering.images: .* made with 24, but the plan has 25"),
        (('"nnpack", ', ""), r"harmless.variants: .* 'float64'\], but the plan has \['float64'\]"),
        (('name = "small"', 'name = "big"'), "grids: .* small x boundary"),
    ],
)
def test_the_first_field_that_differs_is_named(frozen, tmp_path, change, problem):
    with pytest.raises(BadFileError, match=problem):
        check_grown(frozen(), frozen(change), file=tmp_path)


def test_other_weights_or_a_missing_network_are_another_plan(frozen, tmp_path):
    problem = "networks.small.weights: .* made with w, but the plan has v; take another folder"
    with pytest.raises(BadFileError, match=problem):
        check_grown(frozen(), frozen(weights="v"), file=tmp_path)
    problem = "networks.small.structure: .* made with s, but the plan has r; take another folder"
    with pytest.raises(BadFileError, match=problem):
        check_grown(frozen(), frozen(structure="r"), file=tmp_path)
    with pytest.raises(BadFileError, match=r"packages.torch: .* made with 2, but the plan has 3"):
        check_grown(frozen(), frozen(torch="3"), file=tmp_path)
    lost = FrozenPlan(plan=frozen().plan, digests={}, packages={}, trials=6)
    with pytest.raises(BadFileError, match=r"networks.small: .* with it, but the plan has it no"):
        check_grown(frozen(), lost, file=tmp_path)


def test_spotting_that_was_measured_stays_as_it_was(frozen, tmp_path):
    before = frozen(("[tampering]", "[spotting]\nnaturals = 9\n[tampering]"))
    other = frozen(("[tampering]", "[spotting]\nnaturals = 8\n[tampering]"))
    with pytest.raises(
        BadFileError, match=r"spotting.naturals: .* made with 9, but the plan has 8"
    ):
        check_grown(before, other, file=tmp_path)
    check_grown(before, frozen(), file=tmp_path)  # it may go: what was measured stays there
