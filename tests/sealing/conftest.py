"""A tiny model with natural inputs for it, and its candidates."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from crafted import QUICK, make
from torch import nn

from modelseal.domain import Domain
from modelseal.generation.baselines.ascent import ascend_whole
from modelseal.generation.baselines.ibsf import ibsf
from modelseal.generation.baselines.legacy import LegacySettings, legacy
from modelseal.models.loader import Model
from modelseal.sealing import candidates, methods

NAMES = ("ant", "bee", "cow", "dog", "elk")


def small(*, seed=0, last=()):
    """An untrained network of five classes; always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 5), *last
        )
    return network.eval().requires_grad_(requires_grad=False)


@pytest.fixture
def network():
    """Builds a tiny untrained network; other seeds give other weights."""
    return small


@pytest.fixture
def few_variants(monkeypatch):
    """Whoever names no variants calibrates in the quick ways."""
    monkeypatch.setattr(candidates, "list_variants", lambda model: QUICK)


@pytest.fixture
def build():
    """Builds a model of five classes for images of shape (3, 8, 8)."""

    def put_together(*, network=None, bounds=(0.0, 1.0), levels=256):
        domain = Domain(shape=(3, 8, 8), bounds=bounds, levels=levels)
        return Model(network=(network or small()).eval(), domain=domain, names=NAMES)

    return put_together


@pytest.fixture
def model(build):
    return build()


@pytest.fixture
def naturals():
    """Makes stored natural inputs of any domain: 16 by default, always the same."""

    def draw(domain, count=16):
        values = np.random.default_rng(0).uniform(*domain.bounds, (count, *domain.shape))
        return domain.encode(values)

    return draw


@pytest.fixture
def starts(naturals):
    """The same as the network takes them: 8 by default."""
    return lambda domain, count=8: torch.from_numpy(domain.decode(naturals(domain, count)))


@pytest.fixture
def found(model, naturals):
    """Twelve candidates of the tiny model."""
    return make(model, naturals(model.domain), seed=4, count=12)


@pytest.fixture
def few_steps(monkeypatch):
    """Every ascent with few steps, and the published loops with few iterations."""
    monkeypatch.setattr(methods, "STEPS", 25)
    short = partial(legacy, settings=LegacySettings(iterations=5))
    monkeypatch.setattr(methods, "legacy", short)
    whole = partial(ascend_whole, steps=5)
    monkeypatch.setattr(methods, "ascend_whole", whole)

    def shorter(network, start, *, domain, settings):
        return ibsf(network, start, domain=domain, settings=replace(settings, iterations=9))

    monkeypatch.setattr(methods, "ibsf", shorter)
    return short
