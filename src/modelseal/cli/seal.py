"""`modelseal seal`, and its two halves, `generate` and `select`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import modelseal as ms
from modelseal.cli import options
from modelseal.enums import Power, Rule
from modelseal.files import beside


def seal(  # noqa: PLR0913 (a verb)
    model: options.ModelFile,
    images: options.Images,
    *,
    output: options.Output,
    samples: options.Samples = 8,
    candidates: options.Candidates = 64,
    rule: options.RuleOption = Rule.DETECTION,
    spec: options.Spec = "top1",
    method: options.MethodOption = "boundary",
    tie: options.Tie = 10,
    margin: options.Margin = None,
    factor: options.Factor = 3.0,
    seed: options.Seed = 0,
    allow: options.Allow = "",
    power: options.PowerOption = Power.FAST,
    neighbours: options.NeighbourCount = 0,
    workers: options.MakerCount = None,
    ray: options.RayAddress = None,
    time_limit: options.TimeLimit = None,
    verbose: options.Verbose = False,
    encrypt_to: options.EncryptTo = None,
    passphrase_file: options.LockPassphraseFile = None,
    per_check: options.PerCheck = None,
) -> None:
    """Make a fingerprint: generate candidates, calibrate them, select a few.

    Then measure on changed copies of the network what they notice.
    """
    from modelseal.cli.console import Terminal, measure_stages, show_costs, show_progress, warn
    from modelseal.cli.destinations import choose_destination
    from modelseal.cli.render import describe_accepted, show_made

    goal = choose_destination(
        output,
        inputs=(*ms.model_files(model), *ms.image_files(images)),
        encrypt_to=encrypt_to,
        passphrase_file=passphrase_file,
        per_check=per_check,
        samples=samples,
    )
    network = ms.load_model(model)
    with (
        _unfinished(output, secret=goal.lock is not None) as checkpoints,
        show_progress() as report,
        measure_stages(report, network) as costs,
    ):
        fingerprint = ms.seal(
            network,
            images,
            samples=samples,
            candidates=candidates,
            method=method,
            rule=rule,
            spec=spec,
            tie=tie,
            margin=margin,
            factor=factor,
            seed=seed,
            allow=allow,
            power=power,
            neighbours=neighbours,
            workers=workers,
            ray=ray,
            time_limit=time_limit,
            checkpoints=checkpoints,
            progress=costs.report,
            notify=warn,
        )
        goal.write(fingerprint)
    show_made(Terminal(), fingerprint, file=output, chosen=describe_accepted(fingerprint))
    if verbose:
        show_costs(costs, fingerprint)


@contextmanager
def _unfinished(output: Path, *, secret: bool) -> Iterator[Path | None]:
    """The folder beside the output that keeps unfinished work until the output is written.

    There is none if the output is secret: that would be a plain copy of samples on the disk.
    Whoever interrupts the work, or whose sealing fails, is told what is kept.
    """
    folder = None if secret else beside(output, ".part")
    try:
        yield folder
    except (KeyboardInterrupt, ms.SealingError) as error:
        if folder is None or not any(folder.glob("*")):
            raise
        if isinstance(error, ms.SealingError):
            raise ms.SealingError(f"{error}; the candidates stay in {folder}") from error
        raise KeyboardInterrupt(
            f"interrupted; the same command goes on with the candidates that are kept in {folder}"
        ) from error
    if folder is not None:
        ms.discard_checkpoints(folder)


def generate(  # noqa: PLR0913 (a verb)
    model: options.ModelFile,
    images: options.Images,
    *,
    output: options.Output,
    candidates: options.Candidates = 64,
    spec: options.Spec = "top1",
    method: options.MethodOption = "boundary",
    tie: options.Tie = 10,
    margin: options.Margin = None,
    factor: options.Factor = 3.0,
    seed: options.Seed = 0,
    allow: options.Allow = "",
    workers: options.MakerCount = None,
    ray: options.RayAddress = None,
    time_limit: options.TimeLimit = None,
    verbose: options.Verbose = False,
    encrypt_to: options.EncryptTo = None,
    passphrase_file: options.LockPassphraseFile = None,
) -> None:
    """Make candidates and calibrate them: the first half of seal."""
    from modelseal.cli.console import Terminal, measure_stages, show_costs, show_progress, warn
    from modelseal.cli.destinations import choose_destination
    from modelseal.cli.render import describe_accepted, show_made

    goal = choose_destination(
        output,
        inputs=(*ms.model_files(model), *ms.image_files(images)),
        encrypt_to=encrypt_to,
        passphrase_file=passphrase_file,
    )
    network = ms.load_model(model)
    with (
        _unfinished(output, secret=goal.lock is not None) as checkpoints,
        show_progress() as report,
        measure_stages(report, network) as costs,
    ):
        found = ms.generate(
            network,
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
            progress=costs.report,
            notify=warn,
        )
        goal.write(found)
    show_made(Terminal(), found, file=output, chosen=describe_accepted(found))
    if verbose:
        show_costs(costs, found)


def select(  # noqa: PLR0913 (a verb)
    model: options.ModelFile,
    candidates: options.CandidatesFile,
    *,
    output: options.Output,
    samples: options.Samples = 8,
    rule: options.RuleOption = Rule.DETECTION,
    layers: options.Layers = None,
    seed: options.Seed = 0,
    key: options.KeyFile = None,
    encrypt_to: options.EncryptTo = None,
    passphrase_file: options.BothPassphraseFile = None,
) -> None:
    """Choose a few samples of many candidates: the second half of seal."""
    from modelseal.cli.console import Terminal
    from modelseal.cli.destinations import check_lock, choose_destination, read_fingerprint
    from modelseal.cli.render import show_made

    goal = choose_destination(
        output,
        inputs=[*ms.model_files(model), candidates, *([key] if key else [])],
        encrypt_to=encrypt_to,
        passphrase_file=passphrase_file,
    )
    check_lock(candidates, goal.lock)
    found = read_fingerprint(candidates, key=key, passphrase_file=passphrase_file)
    fingerprint = ms.select(
        model, found, samples=samples, rule=rule, layers=layers or None, seed=seed
    )
    goal.write(fingerprint)
    chosen = f"chosen of {len(found)} candidates by the rule {rule.value}"
    show_made(Terminal(), fingerprint, file=output, chosen=chosen)
