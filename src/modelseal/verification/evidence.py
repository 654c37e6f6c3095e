"""The form of an evidence bundle: what was asked, what came, and proofs that it was sealed so."""

import base64
import binascii
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Annotated, Literal, cast

import numpy as np
from pydantic import Field

from modelseal.endpoints.jsonl import RECORD
from modelseal.endpoints.recorded import LARGEST, check_digest, says_neighbours, settle
from modelseal.endpoints.strict_json import JsonObject, name_of, read_object
from modelseal.errors import BadFileError, EndpointError, InvalidArgumentError, MissingExtraError
from modelseal.fingerprint.checks import check_expected, check_names, form_of
from modelseal.fingerprint.codec import canonical, file_digest
from modelseal.fingerprint.record import Fingerprint
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.specs import OutputSpec, parse_spec
from modelseal.settings import Section, parse_json
from modelseal.types import Array
from modelseal.verdict import Evidence, Finding, Outcome, Verdict, judge
from modelseal.verification.commitment import (
    Commitment,
    Hex,
    Salts,
    commit,
    describe_sample,
    domain_of,
    leaf,
)
from modelseal.verification.judge import examine

SCHEMA = "modelseal.evidence/1"

DOMAIN = b"modelseal.evidence/1\n"
"""Stands before what is signed, so that it can be taken for nothing else."""

Signature = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{86}==$")]
Row = Annotated[tuple[float, ...], Field(min_length=1)]


class Sample(Section):
    """A sample as it was sealed.

    Args:
        codes: Its bytes in base64: one a number, or float32 in little-endian order where inputs
            have no levels.
        labels: The expected labels, if the spec shows labels.
        values: The expected probabilities or scores, if the spec shows any.
        margin: By how much the expected answer misses becoming another one.
    """

    codes: str
    labels: Annotated[tuple[int, ...], Field(min_length=1)] | None
    values: Row | None
    margin: float


class Shown(Section):
    """One raw answer: labels, probabilities or scores as they came, or the reason for none.

    Args:
        time: When it came, as the record says; None if it does not.
        digits: With how many decimal digits numbers came, if these are few.
    """

    time: str | None
    labels: Annotated[tuple[int, ...], Field(min_length=1)] | None
    probabilities: Row | None
    scores: Row | None
    digits: Annotated[int, Field(ge=0, le=400)] | None
    error: str | None


class Asked(Section):
    """A sample that was asked.

    Args:
        number: Its number in the fingerprint.
        sample: What was sealed.
        salt: What proves that, with the sample and the commitment.
        answers: What came.
    """

    number: Annotated[int, Field(ge=0)]
    sample: Sample
    salt: Hex
    answers: Annotated[tuple[Shown, ...], Field(min_length=1)]


class SignedEvidence(Section):
    """All that is signed.

    Args:
        time: When its maker's clock says that it was made.
        endpoint: What was asked, as its maker says.
        names: The name of every class; empty if they have none.
        commitment: The commitment as it was made public.
        asked: The samples that were asked, by number.
    """

    schema_: Annotated[Literal["modelseal.evidence/1"], Field(alias="schema")]
    time: str
    endpoint: str
    names: tuple[str, ...]
    commitment: Commitment
    asked: Annotated[tuple[Asked, ...], Field(min_length=1)]


class Bundle(SignedEvidence):
    """The evidence with its signature, in base64."""

    signature: Signature


def read_bundle(text: bytes, *, name: str) -> Bundle:
    """Reads an evidence bundle, without checking what it says.

    Raises:
        BadFileError: It is none, or not written as bundles are.
    """
    bundle = parse_json(Bundle, text, name=name)
    if text != write_bundle(bundle):
        raise BadFileError(name, "a canonical bundle was wanted, but this one is written otherwise")
    return bundle


def write_bundle(bundle: Bundle) -> bytes:
    """A bundle as the content of a file, always the same for the same bundle."""
    return f"{canonical(bundle.model_dump(mode='json', by_alias=True))}\n".encode()


def message_of(evidence: SignedEvidence) -> bytes:
    """The bytes that are signed."""
    parts = evidence.model_dump(mode="json", by_alias=True, exclude={"signature"})
    return DOMAIN + canonical(parts).encode()


def sign_bundle(evidence: SignedEvidence, signature: bytes) -> Bundle:
    """The bundle of evidence and its signature."""
    parts = evidence.model_dump(by_alias=True)
    return Bundle.model_validate({**parts, "signature": base64.b64encode(signature).decode()})


MAX_RECORD = LARGEST
"""The largest record that is read, in bytes."""

Records = Mapping[int, Sequence[Shown]]
"""The raw answers to each sample that was asked."""


def read_records(text: bytes, fingerprint: Fingerprint, *, name: str) -> Records:
    """Reads recorded answers: lines as `RecordedEndpoint` reads them, with the time of each.

    Args:
        text: The content of the file.
        fingerprint: Whose samples were asked.
        name: What the file is called in errors.

    Raises:
        BadFileError: A line is malformed, there is no such sample, or none was asked; or the
            heading says that the answers are of other samples, or of neighbours too.
    """
    answers: dict[int, list[Shown]] = defaultdict(list)
    for number, line in enumerate(text.split(b"\n"), start=1):
        try:
            content = read_object(line) if line.strip() else {}
            if number == 1 and content.get("schema") == RECORD:
                check_source(content, fingerprint, name=name)
                continue
            if not content:
                continue
            answers[sample_of(content, len(fingerprint))].append(
                shown(content, name=f"{name}: line {number}")
            )
        except EndpointError as error:
            raise BadFileError(name, str(error), field=f"line {number}") from error
    if not answers:
        raise BadFileError(name, "recorded answers were wanted, but none came")
    return answers


def check_source(heading: JsonObject, fingerprint: Fingerprint, *, name: str) -> None:
    """Makes sure that the answers below a heading are to the samples of a fingerprint.

    Raises:
        BadFileError: They are to those of another one, or may be to neighbours.
    """
    check_digest(name, heading.get("fingerprint"), file_digest(fingerprint))
    if says_neighbours(heading):
        raise BadFileError(
            name,
            "answers to the samples alone were wanted, but those to neighbours are among them, "
            "which a bundle does not show",
            field="neighbours",
        )


def endpoint_of(text: bytes) -> str:
    """What the heading of a record says that was asked; empty if it has none."""
    try:
        endpoint = read_object(text.partition(b"\n")[0]).get("endpoint")
    except EndpointError:
        return ""
    return endpoint if isinstance(endpoint, str) else ""


def sample_of(content: JsonObject, count: int) -> int:
    """The number of the sample that a line is about, which is taken out of it.

    Raises:
        EndpointError: There is no such sample.
    """
    sample = content.pop("sample", None)
    if type(sample) is not int or not 0 <= sample < count:
        raise EndpointError(f"sample: 0 to {count - 1} was wanted, but {name_of(sample)} came")
    return sample


def shown(content: JsonObject, *, name: str) -> Shown:
    """What a line says that came.

    Raises:
        BadFileError: It is malformed.
    """
    missing = dict.fromkeys(Shown.model_fields)
    return parse_json(Shown, json.dumps({**missing, **content}), name=name)


def reveal(
    fingerprint: Fingerprint,
    records: Records,
    *,
    salts: Salts,
    endpoint: str,
    time: str,
) -> Bundle:
    """Makes an evidence bundle.

    Args:
        fingerprint: What was sealed.
        records: What came.
        salts: The random numbers that its commitment was made with.
        endpoint: What was asked, without secrets.
        time: The present moment in UTC.

    Raises:
        InvalidArgumentError: The fingerprint is enrolled.
    """
    evidence = SignedEvidence.model_validate(
        {
            "schema": SCHEMA,
            "time": time,
            "endpoint": endpoint,
            "names": fingerprint.names,
            "commitment": commit(fingerprint, salts).model_dump(by_alias=True),
            "asked": tuple(
                {
                    "number": number,
                    "sample": as_tuples(describe_sample(fingerprint, number)),
                    "salt": salts.salt(number).hex(),
                    "answers": tuple(answer.model_dump() for answer in records[number]),
                }
                for number in sorted(records)
            ),
        }
    )
    return sign_bundle(evidence, salts.key.sign(message_of(evidence)))


def as_tuples(sample: Mapping[str, object]) -> dict[str, object]:
    """The same with tuples in the place of lists, as strict values of Python have them."""
    return {
        key: tuple(cast(list[object], part)) if isinstance(part, list) else part
        for key, part in sample.items()
    }


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
