import planned
import pytest

from modelseal.errors import BadFileError
from modelseal.evaluation.plan import read_plan

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
    samples = plan.samples
    assert (samples.candidates, samples.bags, samples.bag) == (320, 50, 64)
    assert (samples.count, samples.seed) == (8, 0)
    assert samples.rules == ["manc", "detection", "random"]
    assert (samples.methods, plan.tampering.images, plan.harmless.variants) == ({}, 2560, None)
    (grid,) = plan.grids
    assert (grid.seeds, grid.specs, grid.networks) == (5, ["top1"], None)


def test_a_grid_that_names_no_networks_has_all_of_them(tmp_path):
    plan = read_plan(written(tmp_path, TWO.replace('"a"', '"b"', 1)))
    assert plan.network_names(plan.grids[0]) == ("b", "a")
    own = read_plan(written(tmp_path, SMALLEST + 'networks = ["a"]\n'))
    assert own.network_names(own.grids[0]) == ("a",)


def test_every_key_is_read(tmp_path):
    plan = read_plan(planned.write_plan(tmp_path))
    samples = plan.samples
    assert (samples.candidates, samples.bags, samples.bag, samples.count) == (8, 2, 4, 2)
    assert (plan.tampering.images, plan.harmless.variants) == (24, ["nnpack", "float64"])


def test_a_spec_is_kept_in_its_one_form(tmp_path):
    plan = read_plan(written(tmp_path, SMALLEST + 'specs = ["scores:0.10", "topk:1"]\n'))
    assert plan.grids[0].specs == ["scores:0.1", "top1"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (SMALLEST.replace("train", "trian"), r"networks\[0\].trian: unknown key, .* name, model,"),
        (SMALLEST.replace('"a"', '"a/b"'), r"networks\[0\].name: needs letters, digits and"),
        (SMALLEST.replace('"a"', '"a--b"'), r"networks\[0\].name: needs letters, digits and"),
        (SMALLEST.replace("train", "#train"), r"networks\[0\].train: is missing"),
        (TWO, "needs different names, but has 'a' twice"),
        (SMALLEST.replace("boundary", "magic"), r"grids\[0\].methods: needs one of boundary, "),
        (SMALLEST.replace("boundary", "boundary:int"), "but has 'boundary:int'"),
        (SMALLEST.replace('"noise"', '"noise", "noise"'), r"grids\[0\].tamperings: needs diff"),
        (SMALLEST.replace('"noise"', ""), r"tamperings: expected at least 1 item, got"),
        (
            SMALLEST + "seeds = 0\n",
            r"grids\[0\].seeds: expected a number greater than or equal to 1, got 0",
        ),
        (SMALLEST + 'seeds = "5"\n', r"grids\[0\].seeds: expected a valid integer, got '5'"),
        (SMALLEST + 'specs = ["top5"]\n', r"grids\[0\].specs: an output spec is top1, topk:K"),
        (SMALLEST + 'specs = ["top1", "topk:1"]\n', "needs different names, but has 'top1' twice"),
        (SMALLEST + 'networks = ["b"]\n', r"grids\[0\].networks needs one of a, but has 'b'"),
        (
            SMALLEST + "[samples]\nsets = 3\n",
            "samples.sets: unknown key, expected one of candidates",
        ),
        (
            SMALLEST + "[samples]\nbag = 0\n",
            "samples.bag: expected a number greater than or equal to 1, got",
        ),
        (SMALLEST + '[samples]\nrules = ["best"]\n', "samples.rules: needs one of manc, detection"),
        (SMALLEST + "[samples.methods.x]\n", "samples.methods: needs one of boundary"),
        (
            SMALLEST + "[samples.methods.legacy]\nsets = 3\n",
            "samples.methods.legacy.sets: unknown key, expected one of candidates, bags, bag",
        ),
        (SMALLEST + "[harmless]\nvariant = []\n", "harmless.variant: unknown key, expected one of"),
        (
            SMALLEST + "[spotting]\nnaturals = 0\n",
            "spotting.naturals: expected a number greater than or equal",
        ),
        (
            SMALLEST + "[samples]\ntie = 1\n",
            "samples.tie: expected a number greater than or equal to 2",
        ),
        (
            SMALLEST + "[samples.methods.legacy]\n",
            "samples.methods needs some of boundary",
        ),
        (
            SMALLEST + '[spotting]\nmethods = ["natural"]\n',
            "spotting.methods needs some of boundary, but has 'natural'",
        ),
        (SMALLEST.split("[[grids]]")[0], "grids: is missing"),
        ("networks = [", "expected TOML"),
    ],
)
def test_whatever_is_wrong_is_one_sentence_with_its_place(tmp_path, text, problem):
    with pytest.raises(BadFileError, match=problem):
        read_plan(written(tmp_path, text))


def test_a_plan_that_is_not_there_cannot_be_read(tmp_path):
    with pytest.raises(BadFileError, match=r"plan.toml: cannot be read: No such file"):
        read_plan(tmp_path / "plan.toml")
