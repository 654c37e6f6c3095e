"""`modelseal seal`: makes a fingerprint of a network."""

from modelseal.cli.options import (
    Allow,
    Candidates,
    Effort,
    Factor,
    Images,
    Margin,
    Method,
    MethodOption,
    ModelFile,
    Output,
    PowerOption,
    Samples,
    Seed,
    Spec,
    Tie,
)


def seal(  # noqa: PLR0913 (a verb)
    model: ModelFile,
    images: Images,
    *,
    output: Output,
    samples: Samples = 8,
    candidates: Candidates = 64,
    spec: Spec = "top1",
    method: MethodOption = Method.BOUNDARY,
    tie: Tie = 10,
    margin: Margin = None,
    factor: Factor = 3.0,
    seed: Seed = 0,
    allow: Allow = "",
    power: PowerOption = Effort.FAST,
) -> None:
    """Make a fingerprint: generate candidates, calibrate them, select a few.

    Then measure on changed copies of the network what they notice.
    """
    from modelseal.cli.emitting import check_output
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
    from modelseal.fingerprint.codec import write

    check_output(output, inputs=list_inputs(model, images))
    check_counts(samples=samples, candidates=candidates)
    recipe = make_recipe(spec=spec, method=method, tie=tie, margin=margin, factor=factor, seed=seed)
    recipe = allow_precisions(recipe, allow)
    network, naturals = load_inputs(model, images, samples=samples)
    from modelseal import sealing

    with reporting() as report:
        fingerprint = sealing.seal(
            network,
            naturals,
            recipe=recipe,
            candidates=candidates,
            samples=samples,
            progress=report,
        )
        effort = sealing.Effort(power.value)
        fingerprint = sealing.state_power(
            network, fingerprint, naturals, effort=effort, progress=report
        )
    write(fingerprint, output)
    tell_made(Paper(), fingerprint, file=output, chosen=tell_accepted(fingerprint))
