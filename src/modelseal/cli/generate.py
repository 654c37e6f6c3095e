"""`modelseal generate`: makes candidates, for `select` to choose from."""

from modelseal.cli.options import (
    Allow,
    Candidates,
    Factor,
    Images,
    Margin,
    Method,
    MethodOption,
    ModelFile,
    Output,
    Seed,
    Spec,
    Tie,
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
) -> None:
    """Make candidates and calibrate them: the first half of seal."""
    from modelseal.cli.emitting import check_output
    from modelseal.cli.making import allow_precisions, list_inputs, load_inputs, make_recipe
    from modelseal.cli.paper import Paper
    from modelseal.cli.progress import reporting
    from modelseal.cli.telling import tell_accepted, tell_made
    from modelseal.fingerprint.codec import write

    check_output(output, inputs=list_inputs(model, images))
    recipe = make_recipe(spec=spec, method=method, tie=tie, margin=margin, factor=factor, seed=seed)
    recipe = allow_precisions(recipe, allow)
    network, naturals = load_inputs(model, images)
    from modelseal import sealing

    with reporting() as report:
        found = sealing.generate(
            network, naturals, recipe=recipe, candidates=candidates, progress=report
        )
    write(found, output)
    tell_made(Paper(), found, file=output, chosen=tell_accepted(found))
