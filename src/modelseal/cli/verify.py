"""`modelseal verify`: asks an endpoint whether it still serves the sealed model."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import inf
from pathlib import Path

import typer

import modelseal as ms
from modelseal.cli.exit_codes import Exit
from modelseal.cli.options import (
    Alpha,
    AskingLimit,
    AskNeighbours,
    CheckFile,
    Concurrency,
    CoverCount,
    EndpointName,
    Everything,
    FingerprintFile,
    HtmlFile,
    JsonFile,
    JunitFile,
    KeyFile,
    Look,
    MaxUses,
    Naturals,
    OrderSeed,
    Pace,
    PassphraseFile,
    PerCheck,
    Queries,
    RecordFile,
    RequiredSignature,
    ResumeFile,
    Retries,
    SarifFile,
    ShowsOption,
    Timeout,
)
from modelseal.enums import Depth, VerdictForm


def verify(  # noqa: PLR0913 (a verb)
    fingerprint: FingerprintFile,
    endpoint: EndpointName,
    *,
    everything: Everything = False,
    json: JsonFile = None,
    junit: JunitFile = None,
    sarif: SarifFile = None,
    html: HtmlFile = None,
    cover: CoverCount = 0,
    naturals: Naturals = None,
    shows: ShowsOption = None,
    seed: OrderSeed = None,
    check: CheckFile = None,
    retries: Retries = 3,
    timeout: Timeout = 30.0,
    time_limit: AskingLimit = None,
    concurrency: Concurrency = 1,
    pace: Pace = 0.0,
    record: RecordFile = None,
    resume: ResumeFile = None,
    key: KeyFile = None,
    passphrase_file: PassphraseFile = None,
    require_signature: RequiredSignature = None,
    per_check: PerCheck = None,
    max_uses: MaxUses = None,
    alpha: Alpha = None,
    queries: Queries = None,
    look: Look = None,
    neighbours: AskNeighbours = False,
) -> None:
    """Ask an endpoint whether it still serves the sealed model.

    Exit codes: 0 intact, 1 tampered, 2 wrong use or bad file, 3 undecided.
    """
    import numpy as np

    from modelseal.cli.console import complain, reporting
    from modelseal.cli.fingerprint_files import read_fingerprint

    policy = ms.QueryPolicy(
        retries=retries,
        timeout=timeout,
        pace=pace,
        time_limit=inf if time_limit is None else time_limit,
        concurrency=concurrency,
    )
    if (cover > 0) != (naturals is not None):
        raise ms.InvalidArgumentError("--cover N and --naturals IMAGES need one another")
    forms = {"json": json, "junit": junit, "sarif": sarif, "html": html}
    files = {VerdictForm(name): path for name, path in forms.items() if path is not None}
    secrets = (key, passphrase_file, require_signature, check)
    inputs = [
        *(fingerprint, ms.ledger_file(fingerprint)),
        *(path for path in secrets if path),
        *ms.signature_files(fingerprint, require_signature),
        *ms.endpoint_files(endpoint),
        *(ms.image_files(naturals) if naturals else ()),
    ]
    _check_verdict_files(files, inputs=inputs, records=[path for path in (record, resume) if path])
    sealed = read_fingerprint(
        fingerprint, key=key, passphrase_file=passphrase_file, signer=require_signature
    )
    with reporting() as report:
        verdict = ms.verify(
            sealed,
            endpoint,
            policy=policy,
            sequential=ms.SequentialPolicy(alpha=alpha, queries=queries, look=look),
            depth=Depth.ALL if everything else Depth.FIRST_PROOF,
            neighbours=neighbours,
            decoys=(naturals, cover) if naturals else None,
            preflight=check,
            per_check=per_check,
            max_uses=max_uses,
            record=record,
            resume=resume,
            shows=ms.Kind(shows.value) if shows else None,
            generator=np.random.default_rng(seed),
            progress=report,
            notify=complain,
        )
    _deliver(verdict, files, every=everything)
    raise typer.Exit(Exit[verdict.outcome.name])


def _deliver(verdict: "ms.Verdict", files: Mapping[VerdictForm, Path], *, every: bool) -> None:
    """Shows the verdict, and writes it into all files that are wanted."""
    from modelseal.cli.console import Paper
    from modelseal.cli.fingerprint_files import STANDARD_OUTPUT, emit
    from modelseal.cli.render import show_verdict

    printed = files.get(VerdictForm.JSON) == STANDARD_OUTPUT
    if not printed:
        show_verdict(Paper(), verdict, every=every)
    ms.write_verdict(
        verdict, {form: path for form, path in files.items() if path != STANDARD_OUTPUT}
    )
    if printed:
        emit(verdict.to_json(), STANDARD_OUTPUT)


def _check_verdict_files(
    files: Mapping[VerdictForm, Path], *, inputs: Sequence[Path], records: Sequence[Path]
) -> None:
    """Makes sure, before anything is asked, that all that is wanted can be written."""
    from modelseal.cli.fingerprint_files import STANDARD_OUTPUT, check_output, is_same

    for form, path in files.items():
        if path == STANDARD_OUTPUT and form is not VerdictForm.JSON:
            raise ms.InvalidArgumentError(f"--{form.value} needs a file, but got -")
    outputs = [*(path for path in files.values() if path != STANDARD_OUTPUT), *records]
    for path in outputs:
        check_output(path, inputs=inputs)
    for one, other in combinations(outputs, 2):
        if is_same(one, other):
            raise ms.InvalidArgumentError(f"expected a file for each, got {other} twice")
    if VerdictForm.HTML in files:
        ms.require_pages()
