"""`modelseal recheck`: checks an evidence bundle again, without the fingerprint."""

import typer

from modelseal.cli.options import JsonFile
from modelseal.cli.secret_options import BundleFile, CommitmentFile


def recheck(
    bundle: BundleFile, *, commitment: CommitmentFile = None, json: JsonFile = None
) -> None:
    """Check an evidence bundle again, and state the verdict.

    Exit codes: 0 intact, 1 tampered, 2 wrong use or a bundle that proves nothing, 3 undecided.
    """
    from modelseal.cli.documents import recheck_document
    from modelseal.cli.emitting import STANDARD_OUTPUT, check_document, emit
    from modelseal.cli.paper import Paper, complain
    from modelseal.cli.telling import tell_findings, tell_verdict
    from modelseal.cli.verify import CODES
    from modelseal.fingerprint.reading import read_bytes
    from modelseal.verifying import rechecking
    from modelseal.verifying.bundle import read_bundle
    from modelseal.verifying.commitment import MAX_BYTES, read_commitment

    check_document(json, inputs=[each for each in (bundle, commitment) if each])
    public = None
    if commitment is not None:
        text = read_bytes(commitment, most=MAX_BYTES)
        public = read_commitment(text, name=str(commitment))
    found = read_bundle(read_bytes(bundle, most=MAX_BYTES), name=str(bundle))
    verdict = rechecking.recheck(found, name=str(bundle), commitment=public)
    if commitment is None:
        complain("without --commitment anybody could have made this bundle")
    if json != STANDARD_OUTPUT:
        tell_verdict(Paper(), verdict)
        tell_findings(Paper(), verdict.evidence)
    if json is not None:
        emit(recheck_document(verdict, found, file=bundle, commitment=commitment), json)
    raise typer.Exit(CODES[verdict.outcome])
