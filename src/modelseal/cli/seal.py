"""`modelseal seal`: makes a fingerprint of a network."""

from modelseal.cli.enrolment_options import NeighbourCount
from modelseal.cli.options import (
    Allow,
    Candidates,
    Effort,
    Factor,
    Images,
    MakerCount,
    Margin,
    Method,
    MethodOption,
    ModelFile,
    Output,
    PowerOption,
    RayAddress,
    Rule,
    RuleOption,
    Samples,
    Seed,
    Spec,
    Tie,
    TimeLimit,
    Verbose,
)
from modelseal.cli.secret_options import EncryptTo, LockPassphraseFile, PerCheck


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
    power: PowerOption = Effort.FAST,
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
    from modelseal.cli.arranging import arrange, check_enough, finish, hire_makers, resumable
    from modelseal.cli.destination import choose_destination
    from modelseal.cli.ledger import keeping_ledger, tell_costs
    from modelseal.cli.making import (
        allow_precisions,
        check_counts,
        list_inputs,
        load_inputs,
        make_recipe,
    )
    from modelseal.cli.paper import Paper
    from modelseal.cli.progress import reporting
    from modelseal.cli.telling import tell_accepted, tell_made

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
