"""Makes samples at which many classes tie, with a margin on purpose."""

import numpy as np
import torch
from torch import Tensor

from modelseal.calibration.calibrate import calibrate
from modelseal.calibration.exports import OnnxRuntime
from modelseal.calibration.variants import (
    ChannelsLast,
    Compiled,
    Float64,
    Nnpack,
    OnDevice,
    OneDnnOff,
    Threads,
    Variant,
)
from modelseal.generation.gaps import Ranking, best_outside, measure_lead, rank, score
from modelseal.generation.lattice import search_lattice
from modelseal.generation.ties import FLOAT_TOLERANCE, tie
from modelseal.models.loader import Model
from modelseal.outputs.specs import RawScores, TopLabels
from modelseal.runtime.inference import full_size, run_network, usual_size
from modelseal.runtime.tensors import Inputs, PerInput
from modelseal.sealing.recipe import Recipe

# The move of a sample is known only when the sample is: one that came out larger is settled again
# with the margin that it needs. Each attempt leaves about one of four behind.
ATTEMPTS = 4
# A sample whose margin is this many times what it needs is settled again, too.
LOOSE = 3.0
# How often other classes may come into a tie that they overtook.
CHANGES_OF_MIND = 4
# A later attempt starts on the levels, beside the window.
REPAIR = (4, 16, 16)
# Variants that take long, and those that run a network on the CPU wherever it is.
SLOW, ON_CPU = (Compiled, OnnxRuntime), (Threads, OneDnnOff, Nnpack, OnDevice)
# Values changed, and neighbours tried, to bring shown digits away from where they round.
CHANGES, NEIGHBOURS = 8, 64
# What a value is changed by where there are no levels, in shares of the span: a grey level.
NUDGE = 1 / 255


def make_boundary(model: Model, naturals: Inputs, recipe: Recipe) -> Inputs:
    """Ties on the levels with a margin just above what the harmless variants need.

    The class that is least likely of those that tie is made to lead: a network that was trained
    on, or lost some of its weights, still tends to what the image shows.
    """
    near, ranking = approach(model, naturals, recipe)
    if isinstance(recipe.spec, RawScores):
        return model.domain.snap(near)
    if not isinstance(recipe.spec, TopLabels):
        return steer(model, model.domain.snap(near), recipe)
    return widen(model, near, ranking, recipe)


def approach(model: Model, naturals: Inputs, recipe: Recipe) -> tuple[Inputs, Ranking]:
    """Inputs at a tie of the classes that are highest there, and the order they shall stand in.

    On the way to a tie the leading scores sink, and among many classes others may then be above
    it: those take part in the place of the lowest, and the way goes on from there.
    """
    clean = score(model.network, naturals)
    tied = max(recipe.tied, recipe.shown + 1)
    ranking = rank(clean, tied=tied, shown=recipe.shown).reverse()
    near, aim = naturals.clone(), torch.zeros_like(clean[:, 0])
    rows = torch.arange(len(naturals), device=naturals.device)
    for _ in range(CHANGES_OF_MIND):
        near[rows] = tie(
            model.network, near[rows], ranking.take(rows), domain=model.domain, aim=aim[rows]
        )
        scores = score(model.network, near)
        lowest = scores.gather(1, ranking.classes).amin(dim=1)
        rows = (best_outside(scores, ranking) > lowest).nonzero()[:, 0]
        if not len(rows):
            break
        highest = rank(scores[rows], tied=tied, shown=recipe.shown)
        ranking = ranking.put(rows, highest.sort_by(clean[rows]).reverse())
    return near, ranking


def widen(model: Model, near: Inputs, ranking: Ranking, recipe: Recipe) -> Inputs:
    """Settles ties, again and again until each has the margin that it needs and not far more.

    None aims at less than the median sample needs: one that the variants moved less may owe it to
    chance, and a re-hosting that was not tried may move it as far as the others.
    """
    samples, least = model.domain.snap(near), torch.full((len(near),), torch.inf).to(near)
    state, first = near.clone(), need_margin(model, samples, recipe)
    usual = first.nanmedian()
    margin = first.clamp(min=usual)
    pending = torch.arange(len(near), device=near.device)
    for attempt in range(ATTEMPTS):
        order = ranking.take(pending)
        found = place(model, state[pending], order, margin[pending], repair=attempt > 0)
        needed = need_margin(model, found, recipe, before=first[pending]).clamp(min=usual)
        lead = measure_lead(score(model.network, found), order)
        better = (lead >= needed) & (lead < least[pending])
        samples[pending[better]], least[pending[better]] = found[better], lead[better]
        state[pending] = found
        aim = torch.maximum(margin[pending], needed)
        again = (lead < needed) | (lead > LOOSE * aim)
        # What the search fell short by is how exactly it can aim here.
        margin[pending] = aim + (needed - lead).clamp(min=0)
        pending = pending[again]
        if not len(pending):
            break
    return samples


def place(
    model: Model, start: Inputs, ranking: Ranking, margin: PerInput, *, repair: bool
) -> Inputs:
    """Moves inputs to where their gaps are the margin: on the levels if there are any."""
    if not model.domain.levels:
        # Newton's steps end within a tolerance of the aim, on either side.
        aim = margin + margin.clamp(max=FLOAT_TOLERANCE)
        return tie(model.network, start, ranking, domain=model.domain, aim=aim)
    rounds = {"rounds": REPAIR} if repair else {}
    return search_lattice(
        model.network, start, ranking, domain=model.domain, margin=margin, **rounds
    )


def need_margin(
    model: Model, samples: Inputs, recipe: Recipe, *, before: PerInput | None = None
) -> PerInput:
    """The margin that each sample needs, as far as quick variants tell.

    Args:
        model: The network.
        samples: On the levels.
        recipe: How they are made.
        before: What they needed at an earlier attempt. A network that is not on the CPU is not
            run there again, which takes longer than all the rest: they need as much at least.
    """
    own = recipe.variants or ()
    # The recipe's variants run as many at a time as the reference does; few would be filled up.
    size = full_size(samples) if own else usual_size(samples)
    quick = [each for each in own or list_probes(size) if not isinstance(each, SLOW)] or own
    again = before is not None and samples.device.type != "cpu"
    asked = [each for each in quick if not (again and isinstance(each, ON_CPU))] or quick
    variants = recipe.with_allowed(asked)
    expected = run_network(model.network, samples, size=size)
    moves = calibrate(
        model.network, samples, spec=recipe.spec, variants=variants, expected=expected
    ).moves
    needed = torch.from_numpy(np.maximum(recipe.factor * moves, recipe.margin or 0.0)).to(samples)
    return needed if before is None or len(asked) == len(quick) else torch.fmax(needed, before)


def list_probes(size: int) -> tuple[Variant, ...]:
    """The variants that move scores most and cost little.

    Their moves say, before the calibration itself, how large a margin will be needed.

    Args:
        size: How many inputs are run at a time: the reference would fill up few to 32.
    """
    return Nnpack(size), Float64(size), ChannelsLast(size)


def steer(model: Model, samples: Inputs, recipe: Recipe) -> Inputs:
    """Of each sample and its random neighbours on the levels, the one with the largest margin.

    Shown digits have their margin at the nearest place where one of them rounds the other way,
    which a change of a few values by one level moves far away.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    best, margins = samples.clone(), measure_margin(model, samples, recipe)
    step = model.domain.step or NUDGE * model.domain.span
    for _ in range(NEIGHBOURS):
        changes = torch.zeros(samples.flatten(1).shape)
        places = torch.randint(changes.shape[1], (len(samples), CHANGES), generator=generator)
        signs = torch.randint(2, places.shape, generator=generator) * 2.0 - 1
        changes = changes.scatter_(1, places, signs).view(samples.shape).to(samples)
        others = model.domain.snap(samples + changes * step)
        found = measure_margin(model, others, recipe)
        better = found > margins
        best[better], margins[better] = others[better], found[better]
    return best


def measure_margin(model: Model, samples: Inputs, recipe: Recipe) -> Tensor:
    """The margin of each sample in the unit of the spec."""
    scores = score(model.network, samples).cpu().numpy()
    # Scores that are not finite give NaN, which is never better.
    with np.errstate(invalid="ignore", over="ignore"):
        return torch.from_numpy(np.asarray(recipe.spec.margin(scores), np.float64))
