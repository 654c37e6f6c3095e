from dataclasses import replace

import numpy as np
import pytest
import torch
from pieces import write_source

from modelseal.calibration.variants import Float64, Nnpack
from modelseal.errors import BadFileError
from modelseal.fingerprint.codec import encode
from modelseal.models.loader import load_model
from modelseal.outputs.specs import parse_spec
from modelseal.parallel.workers import Processes, Sequential
from modelseal.runtime.cost import counting
from modelseal.sealing import candidates, checkpoints
from modelseal.sealing.candidates import generate, make_elsewhere, open_model, plan_pieces
from modelseal.sealing.checkpoints import Logistics
from modelseal.sealing.methods import make_samples
from modelseal.sealing.pipeline import choose_few, seal
from modelseal.sealing.recipe import Method, Recipe

QUICK = (Nnpack(), Float64())


def timeless(found):
    """The bytes of a fingerprint, but for the time of making."""
    return encode(replace(found, origin=replace(found.origin, created="2026-01-01T00:00:00Z")))


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A model.toml; twelve candidates are three pieces."""
    monkeypatch.setattr(checkpoints, "LARGEST", 5)
    open_model.cache_clear()
    return write_source(tmp_path)


@pytest.fixture
def make(source, naturals):
    """Makes twelve candidates in some way."""
    model = load_model(source)

    def build(logistics=None, **settings):
        recipe = Recipe(**{"variants": QUICK, "tied": 4, "seed": 3, **settings})
        return generate(
            model, naturals(model.domain), recipe=recipe, candidates=12, logistics=logistics
        )

    return build


@pytest.mark.parametrize("settings", [{}, {"spec": parse_spec("probs:4")}], ids=str)
def test_processes_make_the_same_bytes_as_this_one(source, make, settings):
    here = make(**settings)
    assert len(here) > 1
    for workers in (Sequential(), Processes(2)):
        there = make(Logistics(workers=workers, source=source), **settings)
        assert timeless(there) == timeless(here)


def test_a_cluster_makes_the_same_bytes_as_this_process(source, make, cluster):
    assert timeless(make(Logistics(workers=cluster, source=source))) == timeless(make())


def test_pieces_kept_by_processes_are_used_by_this_one(source, make, tmp_path, monkeypatch):
    folder = tmp_path / "part"
    there = make(Logistics(workers=Processes(2), source=source, folder=folder))
    assert len(list(folder.iterdir())) == 3
    monkeypatch.setattr(candidates, "make_samples", lambda *all: pytest.fail("made again"))
    assert timeless(make(Logistics(folder=folder))) == timeless(there)


def test_pieces_of_another_network_are_not_used(source, make, naturals, tmp_path):
    folder = tmp_path / "part"
    make(Logistics(folder=folder))
    other = load_model(write_source(tmp_path, seed=1))
    recipe = Recipe(variants=QUICK, tied=4, seed=3)
    settings = {"recipe": recipe, "candidates": 12}
    kept = generate(other, naturals(other.domain), logistics=Logistics(folder=folder), **settings)
    assert timeless(kept) == timeless(generate(other, naturals(other.domain), **settings))
    assert len(list(folder.iterdir())) == 6


def test_more_candidates_go_on_with_the_whole_pieces_of_fewer(source, naturals, tmp_path):
    model = load_model(source)
    logistics = Logistics(folder=tmp_path / "part")
    recipe = Recipe(variants=QUICK, method=Method.NATURAL)
    told = []
    for count in (7, 12):
        generate(
            model,
            naturals(model.domain),
            recipe=recipe,
            candidates=count,
            logistics=logistics,
            progress=lambda *news: told.append(news),
        )
    starts = [news for news in told if news[0] == "generate"]
    assert starts[:3] == [("generate", done, 7) for done in (0, 5, 7)]
    assert starts[3:] == [("generate", done, 12) for done in (5, 10, 12)]


def test_other_weights_by_now_are_told_by_the_process_that_finds_them(source, make):
    write_source(source.parent, seed=1)
    problem = r"model\.toml: weights of digest sha256:\w{64} were wanted, but others came$"
    with pytest.raises(BadFileError, match=problem):
        make(Logistics(workers=Processes(1), source=source))


def test_a_process_loads_the_network_once(source, naturals, monkeypatch):
    model = load_model(source)
    loaded = []
    monkeypatch.setattr(
        candidates, "load_model", lambda path: loaded.append(path) or load_model(path)
    )
    codes = naturals(model.domain)
    recipe = Recipe(variants=QUICK, method=Method.NATURAL)
    tasks = plan_pieces(model, codes, np.arange(12), recipe, Logistics(source=source))
    made = [make_elsewhere(task).samples for task in tasks]
    assert np.array_equal(np.concatenate(made), codes[:12])
    assert loaded == [source]


def test_the_time_limit_leaves_the_first_pieces_with_their_own_sources(make, tmp_path):
    whole = make(method=Method.NATURAL)
    folder = tmp_path / "part"
    first = make(Logistics(seconds=1e-9, folder=folder), method=Method.NATURAL)
    assert first.origin.parameters["candidates"] == 5
    assert first.sources.tolist() == whole.sources.tolist()[: len(first)]
    assert np.array_equal(first.samples, whole.samples[: len(first)])
    second = make(Logistics(seconds=1e-9, folder=folder), method=Method.NATURAL)
    assert second.origin.parameters["candidates"] == 10


def test_the_work_is_that_of_making_for_each_accepted_candidate(source, naturals):
    model = load_model(source)
    codes = naturals(model.domain)
    recipe = Recipe(variants=QUICK, tied=4, seed=3)
    found = generate(model, codes, recipe=recipe, candidates=12)
    with counting(model.network) as counter:
        rows = np.random.default_rng(3).permutation(16)[:12]
        for part in (rows[:5], rows[5:10], rows[10:]):
            make_samples(model, torch.from_numpy(model.domain.decode(codes[part])), recipe)
    assert counter.work > 0
    assert found.origin.parameters["work"] == round(counter.work / len(found), 1)


def test_sealing_is_generating_and_choosing_a_few(source, naturals):
    model = load_model(source)
    codes = naturals(model.domain)
    recipe = Recipe(variants=QUICK, tied=4, seed=3)
    told = []
    whole = seal(model, codes, recipe=recipe, candidates=12, samples=2)
    few = choose_few(
        model,
        generate(model, codes, recipe=recipe, candidates=12),
        samples=2,
        progress=lambda *news: told.append(news),
    )
    assert timeless(few) == timeless(whole)
    assert told == [("select", 0, 2), ("select", 2, 2)]
