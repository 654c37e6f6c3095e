"""`modelseal verify`: asks an endpoint whether it still serves the sealed model."""

import math
from typing import TYPE_CHECKING

import typer

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
    Shows,
    ShowsOption,
    Timeout,
)
from modelseal.errors import EndpointError
from modelseal.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from modelseal.cli.session import Asking
    from modelseal.cli.sign import Signed
    from modelseal.cli.verdict_files import VerdictFiles
    from modelseal.fingerprint.record import Fingerprint
    from modelseal.verification.querier import Depth

CODES = {
    Outcome.INTACT: Exit.INTACT,
    Outcome.TAMPERED: Exit.TAMPERED,
    Outcome.UNDECIDED: Exit.UNDECIDED,
}
"""The exit code of each outcome."""


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

    from modelseal.cli.session import Asking, Budget, list_naturals, load_cover
    from modelseal.cli.sign import read_signed, signature_files
    from modelseal.cli.verdict_files import VerdictFiles
    from modelseal.endpoints.factory import endpoint_files
    from modelseal.verification.policy import Manners, Terms
    from modelseal.verification.querier import Depth

    manners = Manners(
        retries=retries,
        pace=pace,
        time_limit=math.inf if time_limit is None else time_limit,
        concurrency=concurrency,
    )
    budget = Budget(fingerprint, per_check=per_check, max_uses=max_uses)
    asking = Asking(
        manners=manners, timeout=timeout, record=record, resume=resume, budget=budget, check=check
    )
    files = VerdictFiles(json=json, junit=junit, sarif=sarif, html=html)
    read_first = [each for each in (key, passphrase_file, require_signature, check) if each]
    own = [
        fingerprint,
        budget.ledger,
        *signature_files(fingerprint, require_signature),
        *read_first,
    ]
    check_files(
        files, asking, inputs=[*own, *endpoint_files(endpoint), *list_naturals(cover, naturals)]
    )
    signed = read_signed(
        fingerprint, key=key, passphrase_file=passphrase_file, signer=require_signature
    )
    sealed = signed.fingerprint
    terms, generator = Terms(alpha=alpha, queries=queries, look=look), np.random.default_rng(seed)
    images = load_cover(sealed, naturals, count=cover, generator=generator)
    asking = (
        asking.agree(sealed, terms=terms, neighbours=neighbours).cover_with(images).call(endpoint)
    )
    depth = Depth.ALL if everything else Depth.FIRST_PROOF
    verdict = ask(sealed, endpoint, shows=shows, depth=depth, generator=generator, asking=asking)
    deliver(verdict, signed, files, file=fingerprint, endpoint=asking.name, depth=depth)
    raise typer.Exit(CODES[verdict.outcome])


def deliver(
    verdict: Verdict,
    signed: "Signed",
    files: "VerdictFiles",
    *,
    file: "Path",
    endpoint: str,
    depth: "Depth",
) -> None:
    """Tells people the verdict, and writes it into all files that are wanted.

    Raises:
        BadFileError: A file cannot be written.
    """
    from modelseal.cli.documents import verdict_document

    if files.wants_text:
        tell(verdict, depth=depth, signer=signed.signer)
    sealed, signer = signed
    files.write(verdict_document(verdict, sealed, file=file, endpoint=endpoint, signer=signer))


def check_files(files: "VerdictFiles", asking: "Asking", *, inputs: "list[Path]") -> None:
    """Makes sure, before anything is asked, that all that is wanted can be written.

    Raises:
        ModelsealError: It cannot, or one file is wanted for two things.
    """
    files.check(inputs=inputs)
    for path in (None, *files.paths):
        asking.check_files(inputs=inputs, json=path)


def ask(
    fingerprint: "Fingerprint",
    endpoint: str,
    *,
    shows: Shows | None,
    depth: "Depth",
    generator: "np.random.Generator",
    asking: "Asking",
) -> Verdict:
    """The verdict on the endpoint of this name; undecided if it cannot even be opened.

    Raises:
        ModelsealError: The name is none of an endpoint, or the file cannot be used.
    """
    from modelseal.cli.console import reporting
    from modelseal.cli.session import ask_natural
    from modelseal.endpoints import factory
    from modelseal.outputs.answers import Kind
    from modelseal.verification import verify

    try:
        kind = Kind(shows.value) if shows else None
        opened = factory.endpoint(
            endpoint,
            fingerprint,
            shows=kind,
            timeout=asking.timeout,
            time_limit=asking.manners.time_limit,
        )
        asking.check_name(endpoint)
        asking.check_sense(fingerprint, opened)
        asking = asking.start()
        ask_natural(opened, endpoint, fingerprint, asking=asking)
        with (
            asking.begin(fingerprint, generator=generator) as manners,
            reporting() as report,
        ):
            return verify.verify(
                fingerprint,
                opened,
                generator=generator,
                depth=depth,
                progress=report,
                manners=manners,
            )
    except EndpointError as error:
        reason = f"the endpoint cannot be asked: {error}"
        return Verdict(
            outcome=Outcome.UNDECIDED, samples=len(fingerprint), evidence=(), reason=reason
        )


def tell(verdict: Verdict, *, depth: "Depth", signer: str | None) -> None:
    """Writes the verdict for people; with every finding if they asked for all or need them."""
    from modelseal.cli.console import Paper
    from modelseal.cli.render import tell_findings, tell_verdict
    from modelseal.verification.querier import Depth

    paper = Paper()
    tell_verdict(paper, verdict)
    if signer is not None:
        paper.write(f"the fingerprint is signed by {signer}")
    if verdict.evidence and (depth is Depth.ALL or verdict.outcome is not Outcome.INTACT):
        tell_findings(paper, verdict.evidence)
