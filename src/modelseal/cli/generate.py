"""`modelseal generate`: makes candidates, for `select` to choose from."""

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
    Output,
    RayAddress,
    Seed,
    Spec,
    Tie,
    TimeLimit,
    Verbose,
)


def generate(  # noqa: PLR0913 (a verb)
    model: ModelFile,
    images: Images,
    *,
    output: Output,
    candidates: Candidates = 64,
    spec: Spec = "top1",
    method: MethodOption = "boundary",
    tie: Tie = 10,
    margin: Margin = None,
    factor: Factor = 3.0,
    seed: Seed = 0,
    allow: Allow = "",
    workers: MakerCount = None,
    ray: RayAddress = None,
    time_limit: TimeLimit = None,
    verbose: Verbose = False,
    encrypt_to: EncryptTo = None,
    passphrase_file: LockPassphraseFile = None,
) -> None:
    """Make candidates and calibrate them: the first half of seal."""
    from modelseal.cli.console import Paper, complain, keeping_ledger, reporting, tell_costs
    from modelseal.cli.fingerprint_files import choose_destination
    from modelseal.cli.render import tell_accepted, tell_made
    from modelseal.cli.seal import kept_beside

    goal = choose_destination(
        output,
        inputs=(*ms.model_files(model), *ms.image_files(images)),
        encrypt_to=encrypt_to,
        passphrase_file=passphrase_file,
    )
    network = ms.load_model(model)
    with (
        kept_beside(output, secret=goal.lock is not None) as checkpoints,
        reporting() as report,
        keeping_ledger(report, network) as ledger,
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
            progress=ledger.report,
            notify=complain,
        )
        goal.write(found)
    tell_made(Paper(), found, file=output, chosen=tell_accepted(found))
    if verbose:
        tell_costs(ledger, found)
