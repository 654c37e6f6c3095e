import planned
import pytest
from refusals import refuses

from modelseal.errors import BadFileError
from modelseal.evaluation.plan import Digests, FrozenPlan, check_grown, read_plan

SMALLEST = """
[[networks]]
name = "a"
model = "m.toml"
train = "x.npz"
test = "y.npz"
[[grids]]
methods = ["boundary"]
tamperings = ["noise"]
"""
TWO = SMALLEST + SMALLEST.split("[[grids]]")[0]


def written(folder, text):
    file = folder / "plan.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_smallest_plan_gets_the_usual_values(tmp_path):
    plan = read_plan(written(tmp_path, SMALLEST))
    samples, (grid,) = plan.samples, plan.grids
    assert (samples.candidates, samples.bags, samples.bag) == (320, 50, 64)
    assert (samples.count, samples.seed, samples.methods) == (8, 0, {})
    assert samples.rules == ["manc", "detection", "random"]
    assert (plan.tampering.images, plan.harmless.variants) == (2560, None)
    assert (grid.seeds, grid.specs, grid.networks) == (5, ["top1"], None)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (SMALLEST.replace("train", "trian"), "networks[0].trian"),
        (SMALLEST.replace('"a"', '"a/b"'), "networks[0].name"),
        (SMALLEST.replace('"a"', '"a--b"'), "networks[0].name"),
        (SMALLEST.replace("train", "#train"), "networks[0].train"),
        (TWO, ""),
        (SMALLEST.replace("boundary", "magic"), "grids[0].methods"),
        (SMALLEST.replace("boundary", "boundary:int"), "grids[0].methods"),
        (SMALLEST.replace('"noise"', '"noise", "noise"'), "grids[0].tamperings"),
        (SMALLEST.replace('"noise"', ""), "grids[0].tamperings"),
        (SMALLEST + "seeds = 0\n", "grids[0].seeds"),
        (SMALLEST + 'seeds = "5"\n', "grids[0].seeds"),
        (SMALLEST + 'specs = ["top5"]\n', "grids[0].specs"),
        (SMALLEST + 'specs = ["top1", "topk:1"]\n', "grids[0].specs"),
        (SMALLEST + "[samples]\nsets = 3\n", "samples.sets"),
        (SMALLEST + "[samples]\nbag = 0\n", "samples.bag"),
        (SMALLEST + '[samples]\nrules = ["best"]\n', "samples.rules"),
        (SMALLEST + "[samples.methods.x]\n", "samples.methods"),
        (SMALLEST + "[samples.methods.legacy]\nsets = 3\n", "samples.methods.legacy.sets"),
        (SMALLEST + "[harmless]\nvariant = []\n", "harmless.variant"),
        (SMALLEST + "[spotting]\nnaturals = 0\n", "spotting.naturals"),
        (SMALLEST + "[samples]\ntie = 1\n", "samples.tie"),
        (SMALLEST + 'networks = ["b"]\n', "grids[0].networks"),
        (SMALLEST + "[samples.methods.legacy]\n", "samples.methods"),
        (SMALLEST + '[spotting]\nmethods = ["natural"]\n', "spotting.methods"),
        (SMALLEST.split("[[grids]]")[0], "grids"),
        ("networks = [", ""),
    ],
)
def test_whatever_is_wrong_is_one_sentence_with_its_place(tmp_path, text, field):
    with refuses(BadFileError, field=field, file=tmp_path / "plan.toml"):
        read_plan(written(tmp_path, text))


def test_subjects_of_several_grids_come_once_and_of_all_networks_if_none_is_named(tmp_path):
    second = '\n[[grids]]\nmethods = ["natural"]\ntamperings = ["bit"]\nspecs = ["top1", "topk:2"]'
    plan = read_plan(planned.write_plan(tmp_path, ("seeds = 2", "seeds = 2" + second)))
    assert [(each.method, each.spec) for each in plan.subjects] == [
        ("boundary", "top1"),
        ("natural", "top1"),
        ("natural", "topk:2"),
    ]
    plan = read_plan(
        written(tmp_path, SMALLEST.replace('"a"', '"b"') + SMALLEST + 'networks = ["a"]\n')
    )
    assert [plan.networks_of(grid) for grid in plan.grids] == [("b", "a"), ("a",)]


GRID = '\n[[grids]]\nmethods = ["legacy"]\ntamperings = ["bit"]\n'


@pytest.fixture
def frozen(tmp_path):
    """Freezes a plan with changes."""

    def build(*changes, weights="w", structure="s", torch="2"):
        digests = {"small": Digests(weights=weights, structure=structure, train="t", test="e")}
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
    ("change", "digests", "field"),
    [
        (("seeds = 2", "seeds = 1"), {}, "grids"),
        (('"natural"', '"legacy"'), {}, "grids"),
        (('name = "small"', 'name = "big"'), {}, "grids"),
        (("candidates = 8", "candidates = 9"), {}, "samples.candidates"),
        (("count = 2", "count = 3"), {}, "samples.count"),
        (("bag = 4", "bag = 5"), {}, "samples.bag"),
        (("count = 2", 'count = 2\nrules = ["manc"]'), {}, "samples.rules"),
        (
            ("count = 2", "count = 2\n[samples.methods.natural]\nbags = 1"),
            {},
            "samples.methods.natural",
        ),
        (("images = 24", "images = 25"), {}, "tampering.images"),
        (('"nnpack", ', ""), {}, "harmless.variants"),
        (("", ""), {"weights": "v"}, "networks.small.weights"),
        (("", ""), {"structure": "r"}, "networks.small.structure"),
        (("", ""), {"torch": "3"}, "packages.torch"),
    ],
)
def test_the_first_field_that_differs_is_named(frozen, tmp_path, change, digests, field):
    with refuses(BadFileError, field=field):
        check_grown(frozen(), frozen(change, **digests), file=tmp_path)


def test_networks_and_spotting_that_were_measured_stay_as_they_were(frozen, tmp_path):
    lost = FrozenPlan(plan=frozen().plan, digests={}, packages={}, trials=6)
    with refuses(BadFileError, field="networks.small"):
        check_grown(frozen(), lost, file=tmp_path)
    before, other = (
        frozen(("[tampering]", f"[spotting]\nnaturals = {count}\n[tampering]")) for count in (9, 8)
    )
    with refuses(BadFileError, field="spotting.naturals"):
        check_grown(before, other, file=tmp_path)
    check_grown(before, frozen(), file=tmp_path)  # it may go: what was measured stays there
