"""Where tasks are performed, as the user asks."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli.console import complain
from modelseal.cli.options import (
    Allow,
    Candidates,
    EncryptTo,
    Factor,
    Images,
    LockPassphraseFile,
    MakerCount,
    Margin,
    Method,
    MethodOption,
    ModelFile,
    NeighbourCount,
    Output,
    PerCheck,
    PowerOption,
    RayAddress,
    RuleOption,
    Samples,
    Seed,
    Spec,
    Tie,
    TimeLimit,
    Verbose,
)
from modelseal.enums import Power, Rule
from modelseal.errors import BadFileError, InvalidArgumentError, SealingError
from modelseal.extras import require_torch
from modelseal.files import beside
from modelseal.outputs.specs import parse_spec
from modelseal.types import Codes

if TYPE_CHECKING:
    from modelseal.cli.fingerprint_files import Destination
    from modelseal.fingerprint.record import Fingerprint
    from modelseal.models.loader import Model
    from modelseal.parallel.workers import Workers
    from modelseal.sealing.checkpoints import Logistics
    from modelseal.sealing.recipe import Recipe


UNFINISHED = ".part"
"""What is added to the output's name for the folder of finished pieces."""


def arrange(
    model: Path,
    output: Path,
    *,
    minutes: float | None,
    crew: "Workers | None",
    destination: "Destination | None" = None,
) -> "Logistics":
    """Where candidates are made, for how long, and where they are kept.

    Args:
        model: The model.toml.
        output: The file to be written; pieces are kept in a folder beside it.
        minutes: The time limit; None for none.
        crew: Who makes candidates; None for this process.
        destination: Where the result goes. If it is encrypted no piece is kept: that would be a
            plain copy of samples on the disk.

    Raises:
        BadFileError: Something else has the folder's name.
        InvalidArgumentError: The time limit is no positive number.
    """
    from modelseal.sealing.checkpoints import Logistics, check_folder, perform_here

    if minutes is not None and not minutes > 0.0:
        raise InvalidArgumentError(f"--time-limit needs minutes above 0, but is {minutes:g}")
    folder = beside(output, UNFINISHED)
    check_folder(folder)
    return Logistics(
        workers=crew or perform_here,
        source=model.resolve(),
        folder=None if destination and destination.lock else folder,
        seconds=inf if minutes is None else 60.0 * minutes,
    )


def hire_makers(
    count: int | None, address: str | None, *, network: "Model", recipe: "Recipe"
) -> "Workers | None":
    """Who makes candidates: no more processes than fit into the memory; None for this one.

    Raises:
        InvalidArgumentError: Both a number and an address came.
        MissingExtraError: Ray is asked for and not installed.
        SealingError: The network cannot be run.
    """
    if count is None and address is None:
        return None
    from modelseal.parallel.workers import hire
    from modelseal.runtime.devices import device_of, is_on_gpu

    # A wrong use is told before anything is measured.
    crew = hire(count or 1, address, gpu=is_on_gpu(network.network))
    if count is None or count == 1:
        return crew
    from modelseal.sealing.memory import available_memory, fit_processes, need_memory

    need = need_memory(network, recipe)
    available = available_memory(device_of(network.network))
    fitting = fit_processes(count, need=need, available=available)
    if fitting < count:
        complain(
            f"{fitting} of {count} processes are used, for which there is memory: each needs about "
            f"{need / 1e9:.1f} GB"
        )
    return hire(fitting, None)


@contextmanager
def resumable(logistics: "Logistics") -> Iterator[None]:
    """Tells whoever interrupts the work, or whose sealing fails, what is kept of it, if anything.

    Raises:
        KeyboardInterrupt: It came; its text, if it has one, is for the user.
        SealingError: It came.
    """
    from modelseal.sealing.checkpoints import count_kept

    try:
        yield
    except (KeyboardInterrupt, SealingError) as error:
        if logistics.folder is None or not count_kept(logistics.folder):
            raise
        if isinstance(error, SealingError):
            raise SealingError(f"{error}; the candidates stay in {logistics.folder}") from error
        raise KeyboardInterrupt(
            "interrupted; the same command goes on with the candidates that are kept in "
            f"{logistics.folder}"
        ) from error


def check_enough(found: "Fingerprint", *, samples: int, minutes: float | None) -> None:
    """Makes sure that a time limit left enough candidates.

    Raises:
        SealingError: It did not.
    """
    if minutes is not None and len(found) < samples:
        raise SealingError(
            f"{samples} samples were wanted, but {minutes:g} minutes gave {len(found)} accepted "
            "candidates"
        )


def finish(
    fingerprint: "Fingerprint",
    output: Path,
    logistics: "Logistics",
    *,
    destination: "Destination | None" = None,
) -> None:
    """Writes the result, and removes the pieces that it was made from.

    Args:
        fingerprint: The result.
        output: The file to be written.
        logistics: Where the pieces are kept.
        destination: How it is written; by default plainly, without a ledger.

    Raises:
        BadFileError: The file cannot be written, or a piece not be removed.
    """
    from modelseal.cli.fingerprint_files import Destination
    from modelseal.sealing.checkpoints import clear

    (destination or Destination(path=output)).write(fingerprint)
    if logistics.folder is not None:
        clear(logistics.folder)


def check_counts(*, samples: int, candidates: int) -> None:
    """Makes sure that there is something to choose from.

    Raises:
        InvalidArgumentError: More samples than candidates are wanted.
    """
    if candidates < samples:
        raise InvalidArgumentError(
            f"--candidates needs to be at least --samples, but {candidates} is less than {samples}"
        )


def make_recipe(
    *, spec: str, method: Method, tie: int, margin: float | None, factor: float, seed: int
) -> "Recipe":
    """How samples shall be made.

    Raises:
        InvalidArgumentError: A value is out of its range.
        MissingExtraError: Torch is not installed.
    """
    shown = parse_spec(spec)
    require_torch("Making samples")
    from modelseal import sealing

    return sealing.Recipe(
        method=sealing.Method(method.value),
        spec=shown,
        tied=tie,
        margin=margin,
        factor=factor,
        seed=seed,
    )


def allow_precisions(recipe: "Recipe", words: str) -> "Recipe":
    """The same recipe with precisions that shall count as harmless.

    Args:
        recipe: How samples shall be made.
        words: The precisions, with commas between; empty for none.

    Raises:
        InvalidArgumentError: A word is no precision.
    """
    from modelseal.calibration.precision import parse_precisions

    return replace(recipe, allowed=parse_precisions(words))


def list_inputs(model: Path, images: Path) -> tuple[Path, ...]:
    """Every file that is read for samples, so that none is replaced by what is made of it.

    Raises:
        BadFileError: The model.toml or the folder of images cannot be read.
    """
    from modelseal.models.images import list_images
    from modelseal.models.model_toml import list_model_files

    found = list_images(images) if images.is_dir() else (images,)
    return (*list_model_files(model), *found)


def load_inputs(model: Path, images: Path, *, samples: int = 1) -> tuple["Model", Codes]:
    """The network, and the natural inputs that samples are made of.

    Args:
        model: The model.toml.
        images: A folder of images or an `.npz` file.
        samples: How many samples are wanted, which takes at least as many natural inputs.

    Raises:
        BadFileError: One of them cannot be used, or there are too few inputs.
    """
    from modelseal.models.images import read_images
    from modelseal.models.loader import load_model

    if not images.exists():
        raise BadFileError(images, "a folder of images or an .npz file was wanted, but is missing")
    network = load_model(model)
    naturals, _ = read_images(images, network.domain)
    if len(naturals) < samples:
        raise BadFileError(
            images,
            f"at least {samples} images were wanted for as many samples, not {len(naturals)}",
        )
    return network, naturals


def seal(  # noqa: PLR0913 (a verb)
    model: ModelFile,
    images: Images,
    *,
    output: Output,
    samples: Samples = 8,
    candidates: Candidates = 64,
    rule: RuleOption = Rule.DETECTION,
    spec: Spec = "top1",
    method: MethodOption = Method.BOUNDARY,
    tie: Tie = 10,
    margin: Margin = None,
    factor: Factor = 3.0,
    seed: Seed = 0,
    allow: Allow = "",
    power: PowerOption = Power.FAST,
    neighbours: NeighbourCount = 0,
    workers: MakerCount = None,
    ray: RayAddress = None,
    time_limit: TimeLimit = None,
    verbose: Verbose = False,
    encrypt_to: EncryptTo = None,
    passphrase_file: LockPassphraseFile = None,
    per_check: PerCheck = None,
) -> None:
    """Make a fingerprint: generate candidates, calibrate them, select a few.

    Then measure on changed copies of the network what they notice.
    """
    from modelseal.cli.console import Paper, keeping_ledger, reporting, tell_costs
    from modelseal.cli.fingerprint_files import choose_destination
    from modelseal.cli.render import tell_accepted, tell_made

    goal = choose_destination(
        output,
        inputs=list_inputs(model, images),
        encrypt_to=encrypt_to,
        passphrase_file=passphrase_file,
        per_check=per_check,
        samples=samples,
    )
    check_counts(samples=samples, candidates=candidates)
    recipe = allow_precisions(
        make_recipe(spec=spec, method=method, tie=tie, margin=margin, factor=factor, seed=seed),
        allow,
    )
    network, naturals = load_inputs(model, images, samples=samples)
    from modelseal import sealing

    crew = hire_makers(workers, ray, network=network, recipe=recipe)
    logistics = arrange(model, output, minutes=time_limit, crew=crew, destination=goal)
    with resumable(logistics), reporting() as report, keeping_ledger(report, network) as ledger:
        found = sealing.generate(
            network,
            naturals,
            recipe=recipe,
            candidates=candidates,
            progress=ledger.report,
            logistics=logistics,
        )
        check_enough(found, samples=samples, minutes=time_limit)
        fingerprint = sealing.choose_few(
            network,
            found,
            samples=samples,
            rule=sealing.Rule(rule.value),
            progress=ledger.report,
        )
        fingerprint = sealing.find_neighbours(
            network, fingerprint, recipe, count=neighbours, progress=ledger.report
        )
        fingerprint = sealing.state_power(
            network,
            fingerprint,
            naturals,
            effort=sealing.Effort(power.value),
            progress=ledger.report,
        )
    finish(fingerprint, output, logistics, destination=goal)
    tell_made(Paper(), fingerprint, file=output, chosen=tell_accepted(fingerprint))
    if verbose:
        tell_costs(ledger, fingerprint)
