"""Chooses a few samples of many candidates."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.record import Fingerprint
from modelseal.models.loader import Model
from modelseal.runtime.float32 import without_tf32
from modelseal.sealing.bitflips import foretell_flips
from modelseal.sealing.candidates import digest_network, generate, to_tensor
from modelseal.sealing.perturbations import differs, small_copies
from modelseal.sealing.recipe import Recipe, Rule
from modelseal.selection.activations import active_neurons, list_layers
from modelseal.selection.cover import Bits, cover, cover_changes, random_picks, smallest_margin
from modelseal.types import Codes, Progress, ignore

# How many random changes of each family candidates are chosen by: with 16 there are 110 copies,
# that cost less than making the candidates on ResNet-20 and about as much on VGG-Face's shape.
DRAWS = 16


@without_tf32()
def select(
    model: Model,
    candidates: Fingerprint,
    *,
    samples: int = 8,
    rule: Rule = Rule.DETECTION,
    layers: Sequence[str] | None = None,
    seed: int = 0,
) -> Fingerprint:
    """Chooses a few samples of many candidates.

    Args:
        model: The network that the candidates were made for.
        candidates: What `generate` gave.
        samples: How many are wanted, from 1.
        rule: How they are chosen.
        layers: For the cover: the nonlinearities whose neurons count; all by default.
        seed: The seed of a random choice, or of the changes that candidates shall notice.

    Returns:
        A fingerprint of the chosen samples, in the order of choice, without a power: that is to
        be measured for these.

    Raises:
        InvalidArgumentError: There are fewer candidates, they were made for other weights, or a
            layer is unknown.
    """
    if not 1 <= samples <= len(candidates):
        raise InvalidArgumentError(
            f"{samples} samples were wanted, but there are {len(candidates)} accepted candidates: "
            "more are accepted of more or other inputs, or with fewer classes in a tie"
        )
    if candidates.origin.weights_digest != digest_network(model.network):
        raise InvalidArgumentError("these candidates were made for a network of other weights")
    order = choose(model, candidates, samples=samples, rule=rule, layers=layers, seed=seed)
    return candidates.take(np.array(order))


def choose(
    model: Model,
    candidates: Fingerprint,
    *,
    samples: int,
    rule: Rule,
    layers: Sequence[str] | None,
    seed: int,
) -> tuple[int, ...]:
    """The numbers of the chosen candidates, in the order of choice."""
    if rule is Rule.RANDOM:
        return random_picks(len(candidates), samples, np.random.default_rng(seed))
    if rule is Rule.MARGIN:
        return smallest_margin(candidates.margins, samples)
    if rule is Rule.DETECTION:
        return cover_changes(
            notice(model, candidates, seed=seed),
            fire(model, candidates, layers),
            margins=candidates.margins,
            count=samples,
        )
    active = active_neurons(model.network, to_tensor(model, candidates.samples), layers=layers)
    return cover(active, samples).order


def notice(model: Model, candidates: Fingerprint, *, seed: int) -> Bits:
    """Which of many small changes each candidate notices: of changed copies, and of flipped bits.

    A step of fine-tuning is made with the candidates themselves.
    """
    samples = to_tensor(model, candidates.samples)
    copies = small_copies(model, samples, draws=DRAWS, seed=seed)
    # A map, unlike a loop, drops each copy before the next one is made.
    noticed = list(map(partial(differs, samples=samples, fingerprint=candidates), copies))
    flips = foretell_flips(model.network, samples, spec=candidates.spec, seed=seed)
    return np.packbits(np.hstack([np.array(noticed).T, flips]), axis=1)


def fire(model: Model, candidates: Fingerprint, layers: Sequence[str] | None) -> Bits:
    """Which neurons fire for each candidate; none in a network without a nonlinearity."""
    if layers is None and not has_neurons(model, candidates):
        return np.zeros((len(candidates), 1), np.uint8)
    return active_neurons(model.network, to_tensor(model, candidates.samples), layers=layers)


def has_neurons(model: Model, candidates: Fingerprint) -> bool:
    """Whether the network has a nonlinearity whose neurons can be covered."""
    try:
        list_layers(model.network, to_tensor(model, candidates.samples[:1]))
    except InvalidArgumentError:
        return False
    return True


def seal(
    model: Model,
    naturals: Codes,
    *,
    recipe: Recipe | None = None,
    candidates: int = 64,
    samples: int = 8,
    progress: Progress = ignore,
) -> Fingerprint:
    """Makes a fingerprint of a network; `state_power` measures what it notices.

    Args:
        model: The owner's network, untampered.
        naturals: Natural inputs as they are stored.
        recipe: How samples shall be made; by default ties of ten classes for one shown label.
        candidates: Of how many natural inputs samples are made.
        samples: How many are kept: those that together notice most of many small changes, and of
            equals those that make most neurons active.
        progress: Is told of the stages `generate`, `calibrate` and `select`.

    Raises:
        InvalidArgumentError: The inputs do not fit the domain, or fewer candidates were accepted
            than samples are wanted.
        SealingError: No candidate was accepted, or the network cannot be run.
    """
    found = generate(
        model, naturals, recipe=recipe or Recipe(), candidates=candidates, progress=progress
    )
    return choose_few(model, found, samples=samples, progress=progress)


def choose_few(
    model: Model,
    found: Fingerprint,
    *,
    samples: int = 8,
    rule: Rule = Rule.DETECTION,
    progress: Progress = ignore,
) -> Fingerprint:
    """The second half of `seal`: chooses a few of what `generate` gave.

    Args:
        model: The owner's network, untampered.
        found: The accepted candidates.
        samples: How many are kept.
        rule: How they are chosen.
        progress: Is told of the stage `select`.

    Raises:
        InvalidArgumentError: There are fewer candidates, or they were made for other weights.
    """
    progress("select", 0, samples)
    fingerprint = select(model, found, samples=samples, rule=rule, seed=found.origin.seed)
    progress("select", samples, samples)
    return fingerprint
