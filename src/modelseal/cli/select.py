"""`modelseal select`: chooses a few samples of many candidates."""

import modelseal as ms
from modelseal.cli.options import (
    BothPassphraseFile,
    CandidatesFile,
    EncryptTo,
    KeyFile,
    Layers,
    ModelFile,
    Output,
    RuleOption,
    Samples,
    Seed,
)
from modelseal.enums import Rule


def select(  # noqa: PLR0913 (a verb)
    model: ModelFile,
    candidates: CandidatesFile,
    *,
    output: Output,
    samples: Samples = 8,
    rule: RuleOption = Rule.DETECTION,
    layers: Layers = None,
    seed: Seed = 0,
    key: KeyFile = None,
    encrypt_to: EncryptTo = None,
    passphrase_file: BothPassphraseFile = None,
) -> None:
    """Choose a few samples of many candidates: the second half of seal."""
    from modelseal.cli.console import Paper
    from modelseal.cli.fingerprint_files import check_lock, choose_destination, read_fingerprint
    from modelseal.cli.render import tell_made

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
    tell_made(Paper(), fingerprint, file=output, chosen=chosen)
