"""`modelseal seal`: makes a fingerprint of the network that a model.toml describes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import modelseal as ms
from modelseal.cli.options import (
    Allow,
    Candidates,
    EncryptTo,
    Factor,
    Images,
    LockPassphraseFile,
    MakerCount,
    Margin,
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
from modelseal.files import beside


def seal(  # noqa: PLR0913 (a verb)
    model: ModelFile,
    images: Images,
    *,
    output: Output,
    samples: Samples = 8,
    candidates: Candidates = 64,
    rule: RuleOption = Rule.DETECTION,
    spec: Spec = "top1",
    method: MethodOption = "boundary",
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
    from modelseal.cli.console import Paper, complain, keeping_ledger, reporting, tell_costs
    from modelseal.cli.fingerprint_files import choose_destination
    from modelseal.cli.render import tell_accepted, tell_made

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
        kept_beside(output, secret=goal.lock is not None) as checkpoints,
        reporting() as report,
        keeping_ledger(report, network) as ledger,
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
            progress=ledger.report,
            notify=complain,
        )
        goal.write(fingerprint)
    tell_made(Paper(), fingerprint, file=output, chosen=tell_accepted(fingerprint))
    if verbose:
        tell_costs(ledger, fingerprint)


@contextmanager
def kept_beside(output: Path, *, secret: bool) -> Iterator[Path | None]:
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
