"""Makes samples of natural inputs, by each method."""

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import TypeAlias

import numpy as np
import torch
from torch import Generator, Tensor

from modelseal.generation.baselines import uniform_noise
from modelseal.generation.baselines.ascent import (
    LEARNING_RATE,
    ascend,
    ascend_whole,
    sensitivity_objective,
)
from modelseal.generation.baselines.ibsf import PUBLISHED, TUNED, IbsfSettings, ibsf
from modelseal.generation.baselines.legacy import legacy
from modelseal.generation.baselines.two_class import two_class
from modelseal.generation.sensitivity import Output
from modelseal.models.loader import Model
from modelseal.runtime.tensors import Inputs
from modelseal.sealing.recipe import Method, Recipe
from modelseal.sealing.search import make_boundary

Making: TypeAlias = Callable[[Model, Inputs, Recipe], Inputs]
"""Makes one sample on the domain's levels of each natural input."""

# The ascent's steps; the paper takes 1,000 and keeps the last.
STEPS = 500


def make_samples(model: Model, naturals: Inputs, recipe: Recipe) -> Inputs:
    """Makes one sample on the domain's levels of each natural input."""
    return MAKERS[recipe.method](model, naturals, recipe)


def make_natural(model: Model, naturals: Inputs, recipe: Recipe) -> Inputs:
    """The natural inputs themselves."""
    return naturals


def make_noise(model: Model, naturals: Inputs, recipe: Recipe) -> Inputs:
    """Noise that depends on the seed and on the natural input in whose place it stands."""
    drawn = [
        uniform_noise(model.domain, count=1, generator=seed_by(one, recipe.seed))
        for one in naturals
    ]
    return model.domain.snap(torch.cat(drawn).to(naturals))


def seed_by(one: Tensor, seed: int) -> Generator:
    """Random numbers of an input's own: the same whatever other inputs there are."""
    content = np.ascontiguousarray(one.cpu().numpy()).tobytes() + seed.to_bytes(8, "little")
    return Generator().manual_seed(int.from_bytes(sha256(content).digest()[:7], "little"))


def make_legacy(model: Model, naturals: Inputs, recipe: Recipe) -> Inputs:
    """The published code's samples, rounded."""
    return model.domain.snap(legacy(model.network, naturals, domain=model.domain))


def make_ascent(model: Model, naturals: Inputs, recipe: Recipe) -> Inputs:
    """The paper's projected ascent on the sensitivity of the probabilities, rounded."""
    objective = sensitivity_objective(model.network, output=Output.PROBABILITIES)
    rate = LEARNING_RATE * model.domain.span
    found = ascend(objective, naturals, project=model.domain.clamp, steps=STEPS, learning_rate=rate)
    return model.domain.snap(found)


def make_ascent_all(model: Model, naturals: Inputs, recipe: Recipe) -> Inputs:
    """The same on the sensitivity to all weights, rounded."""
    generator = Generator().manual_seed(recipe.seed)
    found = ascend_whole(model.network, naturals, domain=model.domain, generator=generator)
    return model.domain.snap(found)


def make_ibsf(model: Model, naturals: Inputs, recipe: Recipe, *, settings: IbsfSettings) -> Inputs:
    """Inputs of high entropy, rounded."""
    return model.domain.snap(ibsf(model.network, naturals, domain=model.domain, settings=settings))


def make_two_class(model: Model, naturals: Inputs, recipe: Recipe) -> Inputs:
    """Inputs on the boundary between two classes, rounded."""
    return model.domain.snap(two_class(model.network, naturals, domain=model.domain))


MAKERS: dict[Method, Making] = {
    Method.BOUNDARY: make_boundary,
    Method.NATURAL: make_natural,
    Method.MISCLASSIFIED: make_natural,
    Method.NOISE: make_noise,
    Method.LEGACY: make_legacy,
    Method.ASCENT: make_ascent,
    Method.ASCENT_ALL: make_ascent_all,
    Method.IBSF: partial(make_ibsf, settings=PUBLISHED),
    Method.IBSF_TUNED: partial(make_ibsf, settings=TUNED),
    Method.TWO_CLASS: make_two_class,
}
"""The maker of each method."""
