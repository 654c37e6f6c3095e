"""`modelseal verify`, and `inspect`, which shows what is verified."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import inf
from pathlib import Path

import typer

import modelseal as ms
from modelseal.cli import options
from modelseal.cli.exit_codes import Exit
from modelseal.enums import Depth, VerdictForm


def verify(  # noqa: PLR0913 (a verb)
    fingerprint: options.FingerprintFile,
    endpoint: options.EndpointName,
    *,
    everything: options.Everything = False,
    json: options.JsonFile = None,
    junit: options.JunitFile = None,
    sarif: options.SarifFile = None,
    html: options.HtmlFile = None,
    cover: options.CoverCount = 0,
    naturals: options.Naturals = None,
    shows: options.ShowsOption = None,
    seed: options.OrderSeed = None,
    check: options.CheckFile = None,
    retries: options.Retries = 3,
    timeout: options.Timeout = 30.0,
    time_limit: options.AskingLimit = None,
    concurrency: options.Concurrency = 1,
    pace: options.Pace = 0.0,
    record: options.RecordFile = None,
    resume: options.ResumeFile = None,
    key: options.KeyFile = None,
    passphrase_file: options.PassphraseFile = None,
    require_signature: options.RequiredSignature = None,
    per_check: options.PerCheck = None,
    max_uses: options.MaxUses = None,
    alpha: options.Alpha = None,
    queries: options.Queries = None,
    look: options.Look = None,
    neighbours: options.AskNeighbours = False,
) -> None:
    """Ask an endpoint whether it still serves the sealed model.

    Exit codes: 0 intact, 1 tampered, 2 wrong use or bad file, 3 undecided.
    """
    import numpy as np

    from modelseal.cli.console import show_progress, warn
    from modelseal.cli.destinations import read_fingerprint

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
        *(ms.signature_files(fingerprint, require_signature) if require_signature else ()),
        *ms.endpoint_files(endpoint),
        *(ms.image_files(naturals) if naturals else ()),
    ]
    _check_verdict_files(files, inputs=inputs, records=[path for path in (record, resume) if path])
    sealed = read_fingerprint(
        fingerprint, key=key, passphrase_file=passphrase_file, signer=require_signature
    )
    with show_progress() as report:
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
            notify=warn,
        )
    _deliver(verdict, files, every=everything)
    raise typer.Exit(Exit[verdict.outcome.name])


def _deliver(verdict: "ms.Verdict", files: Mapping[VerdictForm, Path], *, every: bool) -> None:
    """Shows the verdict, and writes it into all files that are wanted."""
    from modelseal.cli.console import Terminal
    from modelseal.cli.destinations import STANDARD_OUTPUT, emit
    from modelseal.cli.render import show_verdict

    printed = files.get(VerdictForm.JSON) == STANDARD_OUTPUT
    if not printed:
        show_verdict(Terminal(), verdict, every=every)
    ms.write_verdict(
        verdict, {form: path for form, path in files.items() if path != STANDARD_OUTPUT}
    )
    if printed:
        emit(verdict.to_json(), STANDARD_OUTPUT)


def _check_verdict_files(
    files: Mapping[VerdictForm, Path], *, inputs: Sequence[Path], records: Sequence[Path]
) -> None:
    """Makes sure, before anything is asked, that all that is wanted can be written."""
    from modelseal.cli.destinations import STANDARD_OUTPUT, check_output, is_same

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


def inspect(
    fingerprint: options.FingerprintFile,
    *,
    images: options.ImageFolder = None,
    json: options.JsonFile = None,
    key: options.KeyFile = None,
    passphrase_file: options.PassphraseFile = None,
) -> None:
    """Show what a fingerprint is for and how it was made; the samples only when asked."""
    from modelseal.cli.console import Terminal, warn
    from modelseal.cli.destinations import STANDARD_OUTPUT, check_document, emit, read_fingerprint
    from modelseal.cli.render import show_inspection

    check_document(json, inputs=[each for each in (fingerprint, key, passphrase_file) if each])
    sealed = read_fingerprint(fingerprint, key=key, passphrase_file=passphrase_file)
    if images is not None:
        files = ms.write_images(images, sealed.samples, sealed.domain)
        warn(f"{len(files)} samples are in {images}; they are secret, as the fingerprint is")
    if json != STANDARD_OUTPUT:
        show_inspection(Terminal(), sealed)
    if json is not None:
        emit(ms.inspect(sealed), json)
