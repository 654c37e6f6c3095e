"""Finds inputs beside each sample that it may be asked by.

Whoever serves a table of canned answers to the samples, or a cache of them, in front of another
network answers the samples well, but not what lies beside them.
"""

from dataclasses import replace

import numpy as np

from modelseal.calibration.running import foreign_errors, run_network
from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.neighbours import list_faces
from modelseal.fingerprint.record import Fingerprint
from modelseal.generation.gaps import differentiate_gaps, rank, score
from modelseal.models.loading import Model
from modelseal.sealing.generating import to_tensor
from modelseal.sealing.making import measure_margin, need_margin
from modelseal.sealing.recipe import Progress, Recipe, ignore
from modelseal.shapes import Array, Codes, Mask

# Neighbours are drawn among so many of the least influential places for each that is wanted: a
# change there leaves the answer and its margin nearly as they are, and which it is stays secret.
POOL = 32
# So many are tried for each that is wanted; most of them will do.
TRIES = 4


def find_neighbours(
    model: Model,
    fingerprint: Fingerprint,
    recipe: Recipe,
    *,
    count: int,
    progress: Progress = ignore,
) -> Fingerprint:
    """Finds neighbours of each sample: one value changed by one level, and the same answer.

    A neighbour's margin is at least what the recipe asks of a sample: its factor times what quick
    harmless variants move the neighbour, and times what all variants moved the sample.

    Args:
        model: The sealed network.
        fingerprint: Its samples.
        recipe: How they were made.
        count: How many neighbours are wanted of each sample, from 0.
        progress: Is told of the stage `neighbours`.

    Returns:
        The fingerprint with up to so many neighbours of each sample; where fewer will do, with
        fewer; as it came if none is wanted.

    Raises:
        InvalidArgumentError: The domain has no levels, or the number is negative.
        SealingError: The network cannot be run.
    """
    if not count:
        return fingerprint
    if not model.domain.levels or count < 0:
        raise InvalidArgumentError(
            f"neighbours need levels and a number from 0, but got {model.domain.levels} levels and "
            f"{count} neighbours"
        )
    influence = measure_influence(model, fingerprint, recipe)
    generator = np.random.default_rng(recipe.seed)
    found = np.zeros((len(fingerprint), count), np.int64)
    for number in range(len(fingerprint)):
        sample = fingerprint.samples[[number]]
        steps = propose(sample, influence[number], model.domain.levels, count, generator)
        good = steps[hold(model, fingerprint, number, steps, recipe)][:count]
        found[number, : len(good)] = good
        progress("neighbours", number + 1, len(fingerprint))
    return replace(fingerprint, neighbours=found)


def measure_influence(model: Model, fingerprint: Fingerprint, recipe: Recipe) -> Array:
    """How much every value of each sample moves the gaps that decide its answer, squared."""
    samples = to_tensor(model, fingerprint.samples)
    if fingerprint.classes < 2:
        return np.zeros((len(samples), samples[0].numel()))
    with foreign_errors():
        scores = score(model.network, samples)
        ranking = rank(scores, tied=max(recipe.tied, recipe.shown + 1), shown=recipe.shown)
        _, jacobian = differentiate_gaps(model.network, samples, ranking)
    return np.asarray(jacobian.square().sum(dim=1).cpu().numpy())


def propose(
    sample: Codes, influence: Array, levels: int, count: int, generator: np.random.Generator
) -> Array:
    """Steps of a level in random places of little influence, each as one number."""
    flat = sample.reshape(-1).astype(np.int64)
    places = np.argsort(influence, kind="stable")[: POOL * count]
    up = places[flat[places] < levels - 1] + 1
    down = -(places[flat[places] > 0] + 1)
    return generator.permutation(np.concatenate([up, down]))[: TRIES * count]


def hold(model: Model, fingerprint: Fingerprint, number: int, steps: Array, recipe: Recipe) -> Mask:
    """Which neighbours are answered as the sample, with the margin that a sample needs."""
    faces = to_tensor(model, list_faces(fingerprint.samples[[number]], steps)[1:])
    margins = measure_margin(model, faces, recipe).numpy()
    needed = need_margin(model, faces, recipe).double().cpu().numpy()
    least = np.maximum(needed, recipe.factor * fingerprint.moves[number])
    shown = fingerprint.spec.reveal(run_network(model.network, faces))
    expected = fingerprint.expected.take(np.full(len(steps), number))
    same = fingerprint.spec.agree(expected, shown)
    return np.asarray(same & (margins > 0) & (margins >= least))
