"""Finds inputs beside each sample that it may be asked by.

Whoever serves a table of canned answers to the samples, or a cache of them, in front of another
network answers the samples well, but not what lies beside them.
"""

from dataclasses import dataclass, replace

import numpy as np

from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.fingerprint import Fingerprint, list_faces
from modelseal.generation.gaps import differentiate_gaps, rank, score
from modelseal.models.loader import Model
from modelseal.outputs.specs import TopLabels
from modelseal.runtime.devices import without_tf32
from modelseal.runtime.inference import foreign_errors, run_network
from modelseal.sealing.candidates import to_tensor
from modelseal.sealing.methods import measure_margin, need_margin
from modelseal.sealing.recipe import Recipe
from modelseal.types import Array, Mask, Progress, ignore

# Steps are drawn among so many of the least influential ones: they leave the answer and its margin
# nearly as they are, and which of them are neighbours stays secret.
POOL = 128
# So many are tried for each sample: networks are run in pieces of this size anyway.
_TRIES = 32


@without_tf32()
def find_neighbours(
    model: Model, fingerprint: Fingerprint, *, count: int, progress: Progress = ignore
) -> Fingerprint:
    """Finds neighbours of each sample: one value changed by one level, and the same answer.

    A neighbour's margin is at least what is asked of a sample: its factor times what quick
    harmless variants move the neighbour, and times what all variants moved the sample.
    """
    if not count:
        return fingerprint
    if not model.domain.levels or fingerprint.classes < 2 or count < 0:
        raise InvalidArgumentError(
            "expected levels, 2 classes or more and a number from 0, got "
            f"{model.domain.levels} levels, {fingerprint.classes} classes and {count}",
            field="neighbours",
        )
    recipe = Recipe.of(fingerprint)
    effects = _measure_effects(model, fingerprint, recipe)
    generator = np.random.default_rng(recipe.seed)
    found = np.zeros((len(fingerprint), count), np.int64)
    for number in range(len(fingerprint)):
        sample = fingerprint.samples[number].reshape(-1)
        steps = propose(sample, effects[number], levels=model.domain.levels, generator=generator)
        good = steps[_hold(model, fingerprint, number, steps, recipe)][:count]
        found[number, : len(good)] = good
        progress("neighbours", number + 1, len(fingerprint))
    return replace(fingerprint, neighbours=found)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Effects:
    """What a step of one level does to the gaps that decide a sample's answer, to first order."""

    gaps: Array
    # (gaps, values): by how much each gap changes for a step up of each value.
    slopes: Array
    # Whether the answer hangs on the smallest gap alone.
    strict: bool

    def predict(self, steps: Array) -> Array:
        """Whether no gap is expected to fall below the smallest one."""
        slopes = self.slopes[:, np.abs(steps) - 1] * np.sign(steps)
        kept = (self.gaps[:, None] + slopes).min(axis=0) >= self.gaps.min()
        return np.asarray(kept | (not self.strict))

    def weigh(self, steps: Array) -> Array:
        """The squared influence of steps on all gaps."""
        return np.asarray(np.square(self.slopes[:, np.abs(steps) - 1]).sum(axis=0))


def _measure_effects(model: Model, fingerprint: Fingerprint, recipe: Recipe) -> list[Effects]:
    samples = to_tensor(model, fingerprint.samples)
    with foreign_errors():
        scores = score(model.network, samples)
        ranking = rank(scores, tied=max(recipe.tied, recipe.shown + 1), shown=recipe.shown)
        gaps, jacobian = differentiate_gaps(model.network, samples, ranking)
    strict = isinstance(recipe.spec, TopLabels)
    rows = zip(gaps.cpu().numpy(), (jacobian * model.domain.step).cpu().numpy(), strict=True)
    return [Effects(gaps=one, slopes=slopes, strict=strict) for one, slopes in rows]


def propose(
    sample: Array, effects: Effects, *, levels: int, generator: np.random.Generator
) -> Array:
    """Steps of one level of little influence that leave the answer as it is, drawn by chance."""
    up, down = np.flatnonzero(sample < levels - 1) + 1, -(np.flatnonzero(sample > 0) + 1)
    steps = np.concatenate([up, down])
    steps = steps[effects.predict(steps)]
    weakest = steps[np.argsort(effects.weigh(steps), kind="stable")[:POOL]]
    return generator.permutation(weakest)[:_TRIES]


def _hold(
    model: Model, fingerprint: Fingerprint, number: int, steps: Array, recipe: Recipe
) -> Mask:
    """Which neighbours are answered as the sample, with the margin that a sample needs."""
    if not len(steps):
        return np.zeros(0, bool)
    spec = fingerprint.spec
    faces = to_tensor(model, list_faces(fingerprint.samples[[number]], steps)[1:])
    margins = measure_margin(model.network, faces, spec).numpy()
    needed = need_margin(model.network, faces, recipe).double().cpu().numpy()
    least = np.maximum(needed, recipe.factor * fingerprint.moves[number])
    expected = fingerprint.expected.take(np.full(len(steps), number))
    same = spec.agree(expected, spec.reveal(run_network(model.network, faces)))
    return np.asarray(same & (margins > 0) & (margins >= least))
