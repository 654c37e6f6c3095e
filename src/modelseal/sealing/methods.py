"""The methods that make samples of natural inputs, by name; first of all ties on purpose."""

from collections.abc import Callable
from hashlib import sha256
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Generator, Tensor, nn

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
from modelseal.generation.baselines import uniform_noise
from modelseal.generation.baselines.ascent import (
    LEARNING_RATE,
    ascend,
    ascend_whole,
    sensitivity_objective,
)
from modelseal.generation.baselines.ibsf import PUBLISHED, TUNED, ibsf
from modelseal.generation.baselines.legacy import legacy
from modelseal.generation.baselines.two_class import two_class
from modelseal.generation.gaps import (
    Inputs,
    PerInput,
    Ranking,
    best_outside,
    measure_lead,
    rank,
    score,
)
from modelseal.generation.lattice import search_lattice
from modelseal.generation.sensitivity import Output
from modelseal.generation.ties import FLOAT_TOLERANCE, tie
from modelseal.outputs.specs import OutputSpec, RawScores, TopLabels
from modelseal.registry import Registry
from modelseal.runtime.inference import full_size, run_network, usual_size
from modelseal.sealing.recipe import Recipe

# The move of a sample is known only when the sample is: one that came out larger is settled again
# with the margin that it needs. Each attempt leaves about one of four behind.
_ATTEMPTS = 4
# A sample whose margin is this many times what it needs is settled again, too.
_LOOSE = 3.0
# How often other classes may come into a tie that they overtook.
_OVERTAKINGS = 4
# A later attempt starts on the levels, beside the window.
_REPAIR = (4, 16, 16)
# Variants that take long, and those that run a network on the CPU wherever it is.
_SLOW, ON_CPU = (Compiled, OnnxRuntime), (Threads, OneDnnOff, Nnpack, OnDevice)
# Values changed, and neighbours tried, to bring shown digits away from where they round.
CHANGES, NEIGHBOURS = 8, 64
# What a value is changed by where there are no levels, in shares of the span: a grey level.
_NUDGE = 1 / 255
# The ascent's steps; the paper takes 1,000 and keeps the last.
STEPS = 500


@runtime_checkable
class Method(Protocol):
    """Makes one sample of each natural input."""

    def __call__(self, network: nn.Module, naturals: Inputs, *, recipe: Recipe) -> Inputs:
        """The samples (batch, *shape), on the levels of `recipe.domain`."""
        ...


METHODS: Registry[Method] = Registry("a method")


def register_method(name: str) -> Callable[[Method], Method]:
    """Adds a way of making samples, for `seal`, `generate` and plans of an evaluation.

    What is decorated is called with the network, natural inputs (batch, *shape) inside the
    domain's bounds and the `Recipe`, and gives as many samples on the levels of `recipe.domain`,
    as `recipe.domain.snap` makes them.

    Args:
        name: By which users choose it.

    Raises:
        InvalidArgumentError: The name is empty or taken.

    Examples:
        >>> @register_method("inverted")
        ... def invert(network, naturals, *, recipe):
        ...     return recipe.domain.snap(sum(recipe.domain.bounds) - naturals)
    """
    return METHODS.register(name)


@register_method("boundary")
def make_boundary(network: nn.Module, naturals: Inputs, *, recipe: Recipe) -> Inputs:
    """Ties on the levels with a margin just above what the harmless variants need.

    The class that is least likely of those that tie is made to lead: a network that was trained
    on, or lost some of its weights, still tends to what the image shows.
    """
    near, ranking = _approach(network, naturals, recipe)
    if isinstance(recipe.spec, RawScores):
        return recipe.domain.snap(near)
    if not isinstance(recipe.spec, TopLabels):
        return _steer(network, recipe.domain.snap(near), recipe)
    return _widen(network, near, ranking, recipe)


@register_method("natural")
@register_method("misclassified")
def make_natural(network: nn.Module, naturals: Inputs, *, recipe: Recipe) -> Inputs:
    """The natural inputs themselves; the caller may choose those that the network gets wrong."""
    return naturals


@register_method("noise")
def make_noise(network: nn.Module, naturals: Inputs, *, recipe: Recipe) -> Inputs:
    """Noise that depends on the seed and on the natural input in whose place it stands."""
    drawn = [
        uniform_noise(recipe.domain, count=1, generator=_seed_by(one, recipe.seed))
        for one in naturals
    ]
    return recipe.domain.snap(torch.cat(drawn).to(naturals))


def _seed_by(one: Tensor, seed: int) -> Generator:
    content = np.ascontiguousarray(one.cpu().numpy()).tobytes() + seed.to_bytes(8, "little")
    return Generator().manual_seed(int.from_bytes(sha256(content).digest()[:7], "little"))


@register_method("legacy")
def make_legacy(network: nn.Module, naturals: Inputs, *, recipe: Recipe) -> Inputs:
    """Samples of the code that was published with He et al. (CVPR 2019), rounded."""
    return recipe.domain.snap(legacy(network, naturals, domain=recipe.domain))


@register_method("ascent")
def make_ascent(network: nn.Module, naturals: Inputs, *, recipe: Recipe) -> Inputs:
    """The ascent of that paper on the probabilities' sensitivity to the last layer, rounded."""
    objective = sensitivity_objective(network, output=Output.PROBABILITIES)
    rate, project = LEARNING_RATE * recipe.domain.span, recipe.domain.clamp
    found = ascend(objective, naturals, project=project, steps=STEPS, learning_rate=rate)
    return recipe.domain.snap(found)


@register_method("ascent-all")
def make_ascent_all(network: nn.Module, naturals: Inputs, *, recipe: Recipe) -> Inputs:
    """The same on the sensitivity to all weights, rounded."""
    generator = Generator().manual_seed(recipe.seed)
    found = ascend_whole(network, naturals, domain=recipe.domain, generator=generator)
    return recipe.domain.snap(found)


@register_method("ibsf")
def make_ibsf(network: nn.Module, naturals: Inputs, *, recipe: Recipe) -> Inputs:
    """Inputs of high entropy (Bai et al., ICML 2024) by the published numbers, rounded."""
    found = ibsf(network, naturals, domain=recipe.domain, settings=PUBLISHED)
    return recipe.domain.snap(found)


@register_method("ibsf-tuned")
def make_tuned_ibsf(network: nn.Module, naturals: Inputs, *, recipe: Recipe) -> Inputs:
    """The same by better numbers."""
    return recipe.domain.snap(ibsf(network, naturals, domain=recipe.domain, settings=TUNED))


@register_method("two-class")
def make_two_class(network: nn.Module, naturals: Inputs, *, recipe: Recipe) -> Inputs:
    """The nearest boundary between two classes, rounded."""
    return recipe.domain.snap(two_class(network, naturals, domain=recipe.domain))


def _approach(network: nn.Module, naturals: Inputs, recipe: Recipe) -> tuple[Inputs, Ranking]:
    """Inputs at a tie of the classes that are highest there, and the order they shall stand in.

    On the way to a tie the leading scores sink, and among many classes others may then be above
    it: those take part in the place of the lowest, and the way goes on from there.
    """
    clean = score(network, naturals)
    tied = max(recipe.tied, recipe.shown + 1)
    ranking = rank(clean, tied=tied, shown=recipe.shown).reverse()
    near, aim = naturals.clone(), torch.zeros_like(clean[:, 0])
    rows = torch.arange(len(naturals), device=naturals.device)
    for _ in range(_OVERTAKINGS):
        near[rows] = tie(
            network, near[rows], ranking.take(rows), domain=recipe.domain, aim=aim[rows]
        )
        scores = score(network, near)
        lowest = scores.gather(1, ranking.classes).amin(dim=1)
        rows = (best_outside(scores, ranking) > lowest).nonzero()[:, 0]
        if not len(rows):
            break
        highest = rank(scores[rows], tied=tied, shown=recipe.shown)
        ranking = ranking.put(rows, highest.sort_by(clean[rows]).reverse())
    return near, ranking


def _widen(network: nn.Module, near: Inputs, ranking: Ranking, recipe: Recipe) -> Inputs:
    """Settles ties, again and again until each has the margin that it needs and not far more.

    None aims at less than the median sample needs: one that the variants moved less may owe it to
    chance, and a re-hosting that was not tried may move it as far as the others.
    """
    samples, least = recipe.domain.snap(near), torch.full((len(near),), torch.inf).to(near)
    state, first = near.clone(), need_margin(network, samples, recipe)
    usual = first.nanmedian()
    margin = first.clamp(min=usual)
    pending = torch.arange(len(near), device=near.device)
    for attempt in range(_ATTEMPTS):
        order = ranking.take(pending)
        found = _place(network, state[pending], order, margin[pending], recipe, repair=attempt > 0)
        needed = need_margin(network, found, recipe, before=first[pending]).clamp(min=usual)
        lead = measure_lead(score(network, found), order)
        better = (lead >= needed) & (lead < least[pending])
        samples[pending[better]], least[pending[better]] = found[better], lead[better]
        state[pending] = found
        aim = torch.maximum(margin[pending], needed)
        again = (lead < needed) | (lead > _LOOSE * aim)
        # What the search fell short by is how exactly it can aim here.
        margin[pending] = aim + (needed - lead).clamp(min=0)
        pending = pending[again]
        if not len(pending):
            break
    return samples


def _place(
    network: nn.Module,
    start: Inputs,
    ranking: Ranking,
    margin: PerInput,
    recipe: Recipe,
    *,
    repair: bool,
) -> Inputs:
    """Moves inputs to where their gaps are the margin: on the levels if there are any."""
    domain = recipe.domain
    if not domain.levels:
        # Newton's steps end within a tolerance of the aim, on either side.
        aim = margin + margin.clamp(max=FLOAT_TOLERANCE)
        return tie(network, start, ranking, domain=domain, aim=aim)
    rounds = {"rounds": _REPAIR} if repair else {}
    return search_lattice(network, start, ranking, domain=domain, margin=margin, **rounds)


def need_margin(
    network: nn.Module, samples: Inputs, recipe: Recipe, *, before: PerInput | None = None
) -> PerInput:
    """The margin that each sample on the levels needs, as far as quick variants tell."""
    own = recipe.variants or ()
    # The recipe's variants run as many at a time as the reference does; few would be filled up.
    size = full_size(samples) if own else usual_size(samples)
    quick = [each for each in own or list_probes(size) if not isinstance(each, _SLOW)] or own
    again = before is not None and samples.device.type != "cpu"
    asked = [each for each in quick if not (again and isinstance(each, ON_CPU))] or quick
    variants = recipe.with_allowed(asked)
    expected = run_network(network, samples, size=size)
    moves = calibrate(
        network, samples, spec=recipe.spec, variants=variants, expected=expected
    ).moves
    needed = torch.from_numpy(np.maximum(recipe.factor * moves, recipe.margin or 0.0)).to(samples)
    return needed if before is None or len(asked) == len(quick) else torch.fmax(needed, before)


def list_probes(size: int) -> tuple[Variant, ...]:
    """The variants that move scores most and cost little, run on `size` inputs at a time.

    Their moves say, before the calibration itself, how large a margin will be needed.
    """
    return Nnpack(size), Float64(size), ChannelsLast(size)


def _steer(network: nn.Module, samples: Inputs, recipe: Recipe) -> Inputs:
    """Of each sample and its random neighbours on the levels, the one with the largest margin.

    Shown digits have their margin at the nearest place where one of them rounds the other way,
    which a change of a few values by one level moves far away.
    """
    domain = recipe.domain
    generator = Generator().manual_seed(recipe.seed)
    best, margins = samples.clone(), measure_margin(network, samples, recipe.spec)
    step = domain.step or _NUDGE * domain.span
    for _ in range(NEIGHBOURS):
        changes = torch.zeros(samples.flatten(1).shape)
        places = torch.randint(changes.shape[1], (len(samples), CHANGES), generator=generator)
        signs = torch.randint(2, places.shape, generator=generator) * 2.0 - 1
        changes = changes.scatter_(1, places, signs).view(samples.shape).to(samples)
        others = domain.snap(samples + changes * step)
        found = measure_margin(network, others, recipe.spec)
        better = found > margins
        best[better], margins[better] = others[better], found[better]
    return best


def measure_margin(network: nn.Module, samples: Inputs, spec: OutputSpec) -> Tensor:
    """The margin of each sample in the unit of the spec."""
    scores = score(network, samples).cpu().numpy()
    # Scores that are not finite give NaN, which is never better.
    with np.errstate(invalid="ignore", over="ignore"):
        return torch.from_numpy(np.asarray(spec.margin(scores), np.float64))
