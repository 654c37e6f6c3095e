"""`modelseal verify`: asks an endpoint whether it still serves the sealed model."""

from functools import partial
from typing import TYPE_CHECKING

import typer

from modelseal.cli.border import Exit
from modelseal.cli.options import (
    CoverCount,
    EndpointName,
    Everything,
    FingerprintFile,
    HtmlFile,
    JsonFile,
    JunitFile,
    Naturals,
    OrderSeed,
    SarifFile,
    Shows,
    ShowsOption,
)
from modelseal.errors import EndpointError
from modelseal.verdict import Outcome, Verdict

if TYPE_CHECKING:
    import numpy as np

    from modelseal.fingerprint.record import Fingerprint
    from modelseal.verifying import Depth, Manners

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
) -> None:
    """Ask an endpoint whether it still serves the sealed model.

    Exit codes: 0 intact, 1 tampered, 2 wrong use or bad file, 3 undecided.
    """
    import numpy as np

    from modelseal.cli.covering import list_naturals, load_cover
    from modelseal.cli.documents import verdict_document
    from modelseal.cli.opening import list_files, shown_name
    from modelseal.cli.verdict_files import VerdictFiles
    from modelseal.fingerprint.codec import read
    from modelseal.verifying import Depth, Manners

    files = VerdictFiles(json=json, junit=junit, sarif=sarif, html=html)
    images = list_naturals(cover, naturals)
    files.check(inputs=[fingerprint, *list_files(endpoint), *images])
    sealed = read(fingerprint)
    generator = np.random.default_rng(seed)
    manners = Manners(cover=load_cover(sealed, naturals, count=cover, generator=generator))
    depth = Depth.ALL if everything else Depth.FIRST_PROOF
    verdict = ask(sealed, endpoint, shows=shows, depth=depth, generator=generator, manners=manners)
    if files.wants_text:
        tell(verdict, depth=depth)
    name = shown_name(endpoint)
    files.write(verdict_document(verdict, sealed, file=fingerprint, endpoint=name))
    raise typer.Exit(CODES[verdict.outcome])


def ask(
    fingerprint: "Fingerprint",
    endpoint: str,
    *,
    shows: Shows | None,
    depth: "Depth",
    generator: "np.random.Generator",
    manners: "Manners",
) -> Verdict:
    """The verdict on the endpoint of this name; undecided if it cannot even be opened.

    Raises:
        ModelsealError: The name is none of an endpoint, or the file cannot be used.
    """
    from modelseal import verifying
    from modelseal.cli.opening import open_endpoint
    from modelseal.cli.progress import reporting
    from modelseal.outputs.answers import Kind

    try:
        opened = open_endpoint(endpoint, fingerprint, shows=Kind(shows.value) if shows else None)
        with reporting() as report:
            return verifying.verify(
                fingerprint,
                opened,
                generator=generator,
                depth=depth,
                progress=partial(report, "verify"),
                manners=manners,
            )
    except EndpointError as error:
        reason = f"the endpoint cannot be asked: {error}"
        return Verdict(
            outcome=Outcome.UNDECIDED, samples=len(fingerprint), evidence=(), reason=reason
        )


def tell(verdict: Verdict, *, depth: "Depth") -> None:
    """Writes the verdict for people; with every finding if they asked for all or need them."""
    from modelseal.cli.paper import Paper
    from modelseal.cli.telling import tell_findings, tell_verdict
    from modelseal.verifying import Depth

    paper = Paper()
    tell_verdict(paper, verdict)
    if verdict.evidence and (depth is Depth.ALL or verdict.outcome is not Outcome.INTACT):
        tell_findings(paper, verdict.evidence)
