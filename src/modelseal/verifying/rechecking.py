"""Checks an evidence bundle again, by anybody, without the fingerprint."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from modelseal.endpoints.recorded import settle
from modelseal.errors import BadFileError, EndpointError, InvalidArgumentError, MissingExtraError
from modelseal.fingerprint.checking import check_expected, check_names, form_of
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.specs import OutputSpec, parse_spec
from modelseal.shapes import Array
from modelseal.verdict import Evidence, Finding, Outcome, Verdict, judge
from modelseal.verifying.bundle import Asked, Bundle, Shown, message_of
from modelseal.verifying.commitment import Commitment, domain_of, leaf
from modelseal.verifying.examining import examine

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ModuleNotFoundError as error:
    raise MissingExtraError("Evidence", "crypto") from error


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Revealed:
    """The revealed samples, as far as answers are judged by them.

    Args:
        spec: What the endpoint shows of its scores.
        classes: How many scores the network has.
        names: The name of every class; empty if they have none.
        expected: The expected answers, in the order of the bundle.
    """

    spec: OutputSpec
    classes: int
    names: tuple[str, ...]
    expected: Answers


def recheck(bundle: Bundle, *, name: str, commitment: Commitment | None = None) -> Verdict:
    """Checks all that a bundle says, and states the verdict again.

    Without the commitment as it was made public it is known only that the bundle agrees with
    itself, which anybody can bring about.

    Args:
        bundle: What `reveal` made.
        name: What the bundle is called in errors.
        commitment: The commitment, from where it was made public.

    Returns:
        Tampered if a sample was answered otherwise; intact if all that are in the bundle were
        answered as expected; undecided if an answer is missing or malformed and none differs.

    Raises:
        BadFileError: The bundle was changed, is of another commitment, or proves nothing.
    """
    if commitment is not None and bundle.commitment != commitment:
        raise BadFileError(
            name, "another commitment than the public one is in it", field="commitment"
        )
    check_signature(bundle, name=name)
    check_proofs(bundle, name=name)
    try:
        revealed = understand(bundle)
    except InvalidArgumentError as error:
        raise BadFileError(name, error.problem, field=error.field) from error
    evidence = tuple(find(revealed, place, asked) for place, asked in enumerate(bundle.asked))
    return conclude(bundle, evidence)


def check_signature(bundle: Bundle, *, name: str) -> None:
    """Makes sure that whoever made the commitment has signed the bundle.

    Raises:
        BadFileError: Somebody else did, or it was changed since.
    """
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(bundle.commitment.key))
        key.verify(base64.b64decode(bundle.signature), message_of(bundle))
    except (InvalidSignature, ValueError) as error:
        raise BadFileError(
            name, "a signature by the commitment's key was wanted, but the bundle was changed"
        ) from error


def check_proofs(bundle: Bundle, *, name: str) -> None:
    """Makes sure that every sample was committed to, and comes once.

    Raises:
        BadFileError: One was not, or comes twice.
    """
    hashes = bundle.commitment.samples
    numbers = [asked.number for asked in bundle.asked]
    if len(set(numbers)) < len(numbers) or not set(numbers) <= set(range(len(hashes))):
        raise BadFileError(
            name, f"each of {len(hashes)} samples was wanted once at most", field="asked"
        )
    for place, asked in enumerate(bundle.asked):
        sample = asked.sample.model_dump(mode="json")
        if leaf(sample, bytes.fromhex(asked.salt)) != hashes[asked.number]:
            raise BadFileError(
                name,
                f"sample {asked.number} is not what was committed to",
                field=f"asked[{place}].sample",
            )


def understand(bundle: Bundle) -> Revealed:
    """What the samples are judged by, once it is known to make sense.

    Raises:
        InvalidArgumentError: It makes none; the error names the field.
    """
    committed = bundle.commitment
    try:
        domain, spec = domain_of(committed), parse_spec(committed.spec)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(error.problem, field="commitment") from error
    check_names(bundle.names, committed.classes)
    size = prod(domain.shape) * (1 if domain.levels else 4)
    for place, asked in enumerate(bundle.asked):
        check_codes(asked.sample.codes, size, field=f"asked[{place}].sample.codes")
    samples = [asked.sample for asked in bundle.asked]
    expected = Answers(
        kind=form_of(spec, committed.classes).kind,
        labels=stack([sample.labels for sample in samples], np.int64),
        values=stack([sample.values for sample in samples], np.float64),
    )
    check_expected(expected, spec, count=len(samples), classes=committed.classes)
    return Revealed(spec=spec, classes=committed.classes, names=bundle.names, expected=expected)


def check_codes(text: str, size: int, *, field: str) -> None:
    """Makes sure that a sample has as many bytes as an input.

    Raises:
        InvalidArgumentError: It has not.
    """
    try:
        came = len(base64.b64decode(text, validate=True))
    except binascii.Error as error:
        raise InvalidArgumentError("base64 was wanted, but something else came", field=field) from (
            error
        )
    if came != size:
        raise InvalidArgumentError(f"{size} bytes were wanted, but {came} came", field=field)


def stack(rows: Sequence[tuple[int | float, ...] | None], kind: type[np.generic]) -> Array | None:
    """Rows of one length as an array; nothing if none is there.

    Raises:
        InvalidArgumentError: Some are missing, or they have different lengths, or hold numbers
            that are too large.
    """
    there = [row for row in rows if row is not None]
    if not there:
        return None
    if len(there) < len(rows) or len({len(row) for row in there}) > 1:
        raise InvalidArgumentError("rows of one length were wanted", field="asked")
    try:
        return np.array(there, kind)
    except OverflowError as error:
        raise InvalidArgumentError("numbers of 64 bits were wanted", field="asked") from error


def find(revealed: Revealed, place: int, asked: Asked) -> Evidence:
    """What the answers to one sample show, by the rule of `verify` for recorded answers.

    An error stands for nothing beside an answer, and answers that contradict one another are none.
    """
    there = [shown for shown in asked.answers if shown.error is None] or asked.answers
    answer: Answers | EndpointError
    try:
        answer = settle([answer_of(shown) for shown in there])
    except EndpointError as error:
        answer = error
    return replace(examine(revealed, place, answer), sample=asked.number)


def answer_of(shown: Shown) -> Answers:
    """A raw answer as an endpoint gives it.

    Raises:
        EndpointError: There is none, or a malformed one.
    """
    parts = {
        Kind.LABELS: shown.labels,
        Kind.SCORES: shown.scores,
        Kind.PROBABILITIES: shown.probabilities,
    }
    there = [kind for kind, part in parts.items() if part is not None]
    if shown.error is not None or not there:
        raise EndpointError(shown.error or "no answer came")
    beside = there == [Kind.LABELS, Kind.PROBABILITIES]
    if len(there) > 1 and not beside:
        raise EndpointError("labels, probabilities or scores were wanted, but more than one came")
    values = shown.scores if shown.scores is not None else shown.probabilities
    try:
        return Answers(
            kind=there[0],
            labels=stack([shown.labels], np.int64),
            values=stack([values], np.float64),
            digits=shown.digits,
        )
    except InvalidArgumentError as error:
        raise EndpointError(str(error)) from error


def conclude(bundle: Bundle, evidence: tuple[Evidence, ...]) -> Verdict:
    """The verdict that the evidence supports, on the samples that are in the bundle."""
    samples = len(bundle.commitment.samples)
    chosen = tuple(asked.number for asked in bundle.asked)
    outcome = judge(evidence, samples=samples, chosen=chosen)
    wanted = {
        Outcome.INTACT: Finding.AGREES,
        Outcome.TAMPERED: Finding.DIFFERS,
        Outcome.UNDECIDED: Finding.UNCLEAR,
    }[outcome]
    said = {
        Outcome.INTACT: "answered as expected",
        Outcome.TAMPERED: "answered otherwise",
        Outcome.UNDECIDED: "gave no clear answer",
    }[outcome]
    count = sum(entry.finding is wanted for entry in evidence)
    return Verdict(
        outcome=outcome,
        samples=samples,
        evidence=evidence,
        reason=f"{count} of {len(evidence)} revealed samples, of {samples} sealed ones, {said}",
        chosen=chosen,
    )
