"""Seals a network: makes candidates, calibrates them, selects a few, states what they notice."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import inf
from pathlib import Path

import numpy as np

from modelseal.calibration.precision import parse_precisions
from modelseal.enums import Power, Rule
from modelseal.errors import BadFileError, InvalidArgumentError, SealingError
from modelseal.fingerprint.fingerprint import Fingerprint
from modelseal.models.images import read_images
from modelseal.models.loader import Model, load_model
from modelseal.outputs.specs import OutputSpec, parse_spec
from modelseal.parallel.workers import Workers, hire
from modelseal.runtime.devices import device_of, is_on_gpu, without_tf32
from modelseal.sealing.candidates import digest_network, make_candidates, to_tensor
from modelseal.sealing.checkpoints import (
    available_memory,
    check_checkpoints,
    fit_processes,
    need_memory,
)
from modelseal.sealing.neighbours import find_neighbours
from modelseal.sealing.perturbations import differs, foretell_flips, small_copies
from modelseal.sealing.power import state_power
from modelseal.sealing.recipe import FACTOR, Recipe
from modelseal.selection.activations import active_neurons, list_layers
from modelseal.selection.cover import Bits, cover, cover_changes, random_picks, smallest_margin
from modelseal.types import Codes, Progress, ignore

# How many random changes of each family candidates are chosen by: with 16 there are 110 copies,
# that cost less than making the candidates on ResNet-20 and about as much on VGG-Face's shape.
DRAWS = 16
_MINUTE = 60.0


def seal(  # noqa: PLR0913 (all that an owner may choose)
    model: Model | str | Path,
    images: Codes | str | Path,
    *,
    samples: int = 8,
    candidates: int = 64,
    method: str = "boundary",
    rule: Rule | str = Rule.DETECTION,
    spec: OutputSpec | str = "top1",
    tie: int = 10,
    margin: float | None = None,
    factor: float = FACTOR,
    seed: int = 0,
    allow: str | Iterable[str] = (),
    power: Power | str = Power.FAST,
    neighbours: int = 0,
    workers: int | None = None,
    ray: str | None = None,
    time_limit: float | None = None,
    checkpoints: str | Path | None = None,
    progress: Progress | None = None,
    notify: Callable[[str], None] | None = None,
) -> Fingerprint:
    """Makes a fingerprint of a network: generates candidates, and selects a few that hold.

    Args:
        model: The owner's network, untampered, or the path of its `model.toml`.
        images: Natural inputs (batch, *shape) as they are stored, such as uint8 levels, or the
            path of a folder of PNG or JPEG files or of an `.npz` file.
        samples: How many are kept, from 1.
        candidates: Of how many natural inputs samples are made; of all if there are fewer.
        method: The registered name of the method that makes samples.
        rule: How samples are chosen of the accepted candidates.
        spec: What the endpoint shows of its scores, such as `top1` or `probs:4`.
        tie: How many classes shall tie, from 2.
        margin: The smallest margin of a sample, above 0, in the unit of the spec's margin; by
            default `factor` times what harmless variants move it.
        factor: Every margin is at least this many times the largest harmless move, from 1.
        seed: Of all random numbers, from 0 and below 2^63: the same makes the same samples.
        allow: Lower precisions that count as harmless, and so cannot be noticed: `tf32`, `bf16`,
            `fp16`, `int8`.
        power: With how many changed copies it is measured what the samples notice.
        neighbours: How many neighbours are sought for each sample: one value changed by one
            level, and the same answer.
        workers: How many processes make candidates, each on one torch thread: any number makes
            the same. By default this process does, on all threads.
        ray: The address of a Ray cluster that makes them instead, such as `auto`.
        time_limit: After so many minutes no more candidates are made; the rest goes on.
        checkpoints: A folder that keeps finished candidates, from which the same call goes on
            after a stop. `discard_checkpoints` removes it once the result is written.
        progress: Is told of the stages `generate`, `calibrate`, `select`, `neighbours`, `power`.
        notify: Is told in a sentence if there is memory for fewer workers.

    Returns:
        The fingerprint, with the power that was measured.

    Raises:
        InvalidArgumentError: A value is out of its range, or the images do not fit the domain.
        BadFileError: A file cannot be used, or a checkpoint not be written.
        SealingError: Too few candidates were accepted, or the network cannot be run.
        MissingExtraError: Ray is asked for and not installed.

    Examples:
        ```python
        fingerprint = seal("model.toml", "images/", samples=8, seed=1)
        fingerprint.save("out.seal")
        ```
    """
    if candidates < samples:
        raise InvalidArgumentError(
            f"expected at least as many as samples ({samples}), got {candidates}",
            field="candidates",
        )
    rule, power = Rule(rule), Power(power)
    model = _open_model(model)
    images = _read_codes(images, model, least=samples)
    found = generate(
        model,
        images,
        candidates=candidates,
        method=method,
        spec=spec,
        tie=tie,
        margin=margin,
        factor=factor,
        seed=seed,
        allow=allow,
        workers=workers,
        ray=ray,
        time_limit=time_limit,
        checkpoints=checkpoints,
        progress=progress,
        notify=notify,
    )
    if time_limit is not None and len(found) < samples:
        raise SealingError(
            f"expected {samples} accepted candidates or more, got {len(found)} in "
            f"{time_limit:g} minutes"
        )
    report = progress or ignore
    chosen = select(model, found, samples=samples, rule=rule, progress=progress)
    chosen = find_neighbours(model, chosen, count=neighbours, progress=report)
    return state_power(model, chosen, images, power=power, progress=report)


def generate(  # noqa: PLR0913 (all that an owner may choose)
    model: Model | str | Path,
    images: Codes | str | Path,
    *,
    candidates: int = 64,
    method: str = "boundary",
    spec: OutputSpec | str = "top1",
    tie: int = 10,
    margin: float | None = None,
    factor: float = FACTOR,
    seed: int = 0,
    allow: str | Iterable[str] = (),
    workers: int | None = None,
    ray: str | None = None,
    time_limit: float | None = None,
    checkpoints: str | Path | None = None,
    progress: Progress | None = None,
    notify: Callable[[str], None] | None = None,
) -> Fingerprint:
    """The first half of `seal`: makes candidates, calibrates them, and keeps those that hold.

    Args and errors are those of `seal`.

    Returns:
        All accepted candidates, for `select` to choose from. `origin.parameters` says in `work` how
        many forward passes of one input each of them cost, calibration apart.
    """
    if time_limit is not None and not time_limit > 0:
        raise InvalidArgumentError(
            f"expected more than 0 minutes, got {time_limit:g}", field="time_limit"
        )
    folder = None if checkpoints is None else Path(checkpoints)
    if folder is not None:
        check_checkpoints(folder)
    model = _open_model(model)
    recipe = Recipe(
        domain=model.domain,
        method=method,
        spec=parse_spec(spec) if isinstance(spec, str) else spec,
        tied=tie,
        margin=margin,
        factor=factor,
        seed=seed,
        allowed=parse_precisions(allow if isinstance(allow, str) else ",".join(allow)),
    )
    return make_candidates(
        model,
        _read_codes(images, model),
        recipe=recipe,
        count=candidates,
        workers=_hire_makers(model, recipe, workers, ray, notify or (lambda _: None)),
        checkpoints=folder,
        seconds=inf if time_limit is None else _MINUTE * time_limit,
        progress=progress or ignore,
    )


@without_tf32()
def select(  # noqa: PLR0913 (all that an owner may choose)
    model: Model | str | Path,
    candidates: Fingerprint,
    *,
    samples: int = 8,
    rule: Rule | str = Rule.DETECTION,
    layers: Sequence[str] | None = None,
    seed: int | None = None,
    progress: Progress | None = None,
) -> Fingerprint:
    """The second half of `seal`: chooses a few samples of many candidates.

    Args:
        model: The network that the candidates were made for, or the path of its `model.toml`.
        candidates: What `generate` gave.
        samples: How many are wanted, from 1.
        rule: How they are chosen.
        layers: For the cover: the nonlinearities whose neurons count; all by default.
        seed: The seed of a random choice, or of the changes that candidates shall notice; by
            default that of the candidates.
        progress: Is told of the stage `select`.

    Returns:
        A fingerprint of the chosen samples, in the order of choice, without a power: that is to
        be measured for these.

    Raises:
        InvalidArgumentError: There are fewer candidates, they were made for other weights, or a
            layer is unknown.
    """
    model, report = _open_model(model), progress or ignore
    if not 1 <= samples <= len(candidates):
        raise InvalidArgumentError(
            f"expected 1 to {len(candidates)}, as many as there are accepted candidates, got "
            f"{samples}; more are accepted of more or other inputs, or with fewer classes in a tie",
            field="samples",
        )
    if candidates.origin.weights_digest != digest_network(model.network):
        raise InvalidArgumentError(
            "expected candidates of this network, got some of other weights", field="candidates"
        )
    report("select", 0, samples)
    seed = candidates.origin.seed if seed is None else seed
    match Rule(rule):
        case Rule.RANDOM:
            order = random_picks(len(candidates), samples, np.random.default_rng(seed))
        case Rule.MARGIN:
            order = smallest_margin(candidates.margins, samples)
        case Rule.MANC:
            inputs = to_tensor(model, candidates.samples)
            order = cover(active_neurons(model.network, inputs, layers=layers), samples).order
        case Rule.DETECTION:
            order = cover_changes(
                _notice_changes(model, candidates, seed=seed),
                _find_active(model, candidates, layers),
                margins=candidates.margins,
                count=samples,
            )
    report("select", samples, samples)
    return candidates.take(np.array(order))


def _notice_changes(model: Model, candidates: Fingerprint, *, seed: int) -> Bits:
    """Which of many small changes each candidate notices: on copies, and flipped bits."""
    samples = to_tensor(model, candidates.samples)
    copies = small_copies(model, samples, draws=DRAWS, seed=seed)
    # A map, unlike a loop, drops each copy before the next one is made.
    noticed = list(map(partial(differs, samples=samples, fingerprint=candidates), copies))
    flips = foretell_flips(model.network, samples, spec=candidates.spec, seed=seed)
    return np.packbits(np.hstack([np.array(noticed).T, flips]), axis=1)


def _find_active(model: Model, candidates: Fingerprint, layers: Sequence[str] | None) -> Bits:
    """Which neurons fire for each candidate; none in a network without a nonlinearity."""
    samples = to_tensor(model, candidates.samples)
    if layers is None:
        try:
            list_layers(model.network, samples[:1])
        except InvalidArgumentError:
            return np.zeros((len(candidates), 1), np.uint8)
    return active_neurons(model.network, samples, layers=layers)


def _open_model(model: Model | str | Path) -> Model:
    return model if isinstance(model, Model) else load_model(Path(model))


def _read_codes(images: Codes | str | Path, model: Model, *, least: int = 1) -> Codes:
    if isinstance(images, str | Path):
        codes, _ = read_images(Path(images), model.domain)
        if len(codes) < least:
            raise BadFileError(images, f"expected at least {least} images, got {len(codes)}")
        return codes
    if len(images) < least:
        raise InvalidArgumentError(f"expected at least {least}, got {len(images)}", field="images")
    return images


def _hire_makers(
    model: Model,
    recipe: Recipe,
    count: int | None,
    address: str | None,
    notify: Callable[[str], None],
) -> Workers | None:
    """No more processes than fit into the memory, or a cluster; None for this process alone."""
    if count is None and address is None:
        return None
    # A wrong use is told before anything is measured.
    hired = hire(count or 1, address, gpu=is_on_gpu(model.network))
    if count is None or count == 1:
        return hired
    need = need_memory(model, recipe)
    available = available_memory(device_of(model.network))
    fitting = fit_processes(count, need=need, available=available)
    if fitting < count:
        notify(
            f"{fitting} of {count} processes are used, for which there is memory: each needs about "
            f"{need / 1e9:.1f} GB"
        )
    return hire(fitting, None)
