"""`modelseal generate`: makes candidates, for `select` to choose from."""

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
    method: MethodOption = Method.BOUNDARY,
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
    from modelseal.cli.console import Paper, keeping_ledger, reporting, tell_costs
    from modelseal.cli.fingerprint_files import choose_destination
    from modelseal.cli.render import tell_accepted, tell_made
    from modelseal.cli.seal import (
        allow_precisions,
        arrange,
        finish,
        hire_makers,
        list_inputs,
        load_inputs,
        make_recipe,
        resumable,
    )

    goal = choose_destination(
        output,
        inputs=list_inputs(model, images),
        encrypt_to=encrypt_to,
        passphrase_file=passphrase_file,
    )
    recipe = make_recipe(spec=spec, method=method, tie=tie, margin=margin, factor=factor, seed=seed)
    recipe = allow_precisions(recipe, allow)
    network, naturals = load_inputs(model, images)
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
    finish(found, output, logistics, destination=goal)
    tell_made(Paper(), found, file=output, chosen=tell_accepted(found))
    if verbose:
        tell_costs(ledger, found)
