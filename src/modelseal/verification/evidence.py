"""Evidence bundles: what was asked, what came, and proofs that it was sealed so."""

import base64
import binascii
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import Field

from modelseal.domain import Domain
from modelseal.endpoints.factory import endpoint_name
from modelseal.endpoints.recorded import (
    LARGEST,
    Line,
    check_digest,
    read_lines,
    says_neighbours,
    settle,
    to_object,
)
from modelseal.endpoints.strict_json import JsonObject, read_object
from modelseal.errors import BadFileError, EndpointError, InvalidArgumentError
from modelseal.files import now, read_bytes, write_atomically
from modelseal.fingerprint.checks import check_expected, check_names, form_of
from modelseal.fingerprint.file_format import canonical
from modelseal.fingerprint.fingerprint import Fingerprint
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.specs import parse_spec
from modelseal.settings import Section, parse_json
from modelseal.types import Array
from modelseal.verdict import Evidence, Finding, Judged, Outcome, Provenance, Verdict, judge, judged
from modelseal.verification.commitment import (
    MAX_BYTES,
    Commitment,
    Hex,
    Salts,
    check_sealed,
    describe_sample,
    hash_sample,
    load_commitment,
    load_salts,
    make_commitment,
    write_part,
)
from modelseal.verification.judge import Revealed, examine

SIGNED = b"modelseal.evidence/1\n"
"""Stands before what is signed, so that it can be taken for nothing else."""

Row = Annotated[tuple[float, ...], Field(min_length=1)]
_LabelRow = Annotated[tuple[int, ...], Field(min_length=1)]


class Sample(Section):
    """A sample as it was sealed."""

    codes: str
    labels: _LabelRow | None
    values: Row | None
    margin: float


class Shown(Section):
    """One raw answer: labels, probabilities or scores as they came, or the reason for none.

    `time` is when it came, as the record says; `digits` is with how many decimal digits numbers
    came, if these are few.
    """

    time: str | None
    labels: _LabelRow | None
    probabilities: Row | None
    scores: Row | None
    digits: Annotated[int, Field(ge=0, le=400)] | None
    error: str | None


class Asked(Section):
    """A sample that was asked: what was sealed, the salt that proves it, and what came."""

    number: Annotated[int, Field(ge=0)]
    sample: Sample
    salt: Hex
    answers: Annotated[tuple[Shown, ...], Field(min_length=1)]


class Bundle(Section):
    """Signed evidence of what was asked and what came."""

    schema_: Annotated[Literal["modelseal.evidence/1"], Field(alias="schema")]
    time: str
    endpoint: str
    names: tuple[str, ...]
    commitment: Commitment
    asked: Annotated[tuple[Asked, ...], Field(min_length=1)]
    signature: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{86}==$")]

    def save(self, path: Path) -> None:
        """Writes it to a file that `recheck` can read."""
        content = write_part(self)
        if len(content) > MAX_BYTES:
            raise BadFileError(
                path,
                f"expected at most {MAX_BYTES} bytes, got {len(content)}: reveal a record of "
                "fewer samples",
            )
        write_atomically(path, content)


def read_bundle(text: bytes, *, name: str) -> Bundle:
    """Reads an evidence bundle, without checking what it says."""
    bundle = parse_json(Bundle, text, name=name)
    if text != write_part(bundle):
        raise BadFileError(name, "expected a canonical bundle, got one that is written otherwise")
    return bundle


def reveal(
    fingerprint: Fingerprint, record: Path, *, salts: Path, endpoint: str | None = None
) -> Bundle:
    """Makes an evidence bundle of recorded answers: samples, proofs, and what came.

    Whoever gets the bundle knows these samples: never ask them again.

    Args:
        fingerprint: What was sealed.
        record: What came: JSON lines as `RecordedEndpoint` reads them, or a record of `verify`.
        salts: The file of the random numbers that its commitment was made with.
        endpoint: What was asked, as `verify` takes it; by default what the record says.

    Raises:
        InvalidArgumentError: The fingerprint is enrolled.
        BadFileError: The record or the salts cannot be used.
    """
    check_sealed(fingerprint)
    loaded = load_salts(salts, fingerprint)
    text = read_bytes(record, most=LARGEST)
    return make_bundle(
        fingerprint,
        read_records(text, fingerprint, name=str(record)),
        salts=loaded,
        endpoint=_endpoint_of(text) if endpoint is None else endpoint_name(endpoint),
        time=now(),
    )


Records = Mapping[int, Sequence[Shown]]
"""The raw answers to each sample that was asked."""


def make_bundle(
    fingerprint: Fingerprint, records: Records, *, salts: Salts, endpoint: str, time: str
) -> Bundle:
    """The evidence bundle of some answers, signed by the key of the salts."""
    parts: dict[str, object] = {
        "schema": "modelseal.evidence/1",
        "time": time,
        "endpoint": endpoint,
        "names": fingerprint.names,
        "commitment": make_commitment(fingerprint, salts).model_dump(mode="json", by_alias=True),
        "asked": [
            {
                "number": number,
                "sample": describe_sample(fingerprint, number),
                "salt": salts.salt(number).hex(),
                "answers": [answer.model_dump(mode="json") for answer in records[number]],
            }
            for number in sorted(records)
        ],
    }
    signature = base64.b64encode(salts.key.sign(SIGNED + canonical(parts).encode())).decode()
    return Bundle.model_validate_json(json.dumps(parts | {"signature": signature}))


def read_records(text: bytes, fingerprint: Fingerprint, *, name: str) -> Records:
    """Reads recorded answers: lines as `RecordedEndpoint` reads them, with the time of each."""
    heading, lines = read_lines(text, count=len(fingerprint), name=name)
    if heading:
        _check_source(heading, fingerprint, name=name)
    answers: dict[int, list[Shown]] = defaultdict(list)
    for line in lines:
        answers[line.sample].append(_shown(line))
    if not answers:
        raise BadFileError(name, "expected recorded answers, got none")
    return answers


def _shown(line: Line) -> Shown:
    parts = {} if line.answer is None else to_object(line.answer, 0)
    said = {**parts, "time": line.time, "error": line.error or None}
    return Shown.model_validate_json(json.dumps({**dict.fromkeys(Shown.model_fields), **said}))


def _check_source(heading: JsonObject, fingerprint: Fingerprint, *, name: str) -> None:
    check_digest(name, heading.get("fingerprint"), fingerprint.digest)
    if says_neighbours(heading):
        raise BadFileError(
            name,
            "expected answers to the samples alone, got some to neighbours, which a bundle does "
            "not show",
            field="neighbours",
        )


def _endpoint_of(text: bytes) -> str:
    """What the heading of a record says that was asked; empty if it has none."""
    try:
        endpoint = read_object(text.partition(b"\n")[0]).get("endpoint")
    except EndpointError:
        return ""
    return endpoint if isinstance(endpoint, str) else ""


class _Recheck(Judged):
    schema_: Annotated[Literal["modelseal.recheck/1"], Field(alias="schema")]
    verdict: Annotated[Verdict, Field(exclude=True)]
    bundle: str
    commitment: str | None
    committed: str
    revealed: str

    def to_json(self) -> dict[str, object]:
        """The document, ready for `json.dumps`."""
        return self.model_dump(mode="json", by_alias=True)


def recheck(bundle: Path, *, commitment: Path | None = None) -> _Recheck:
    """Checks all that a bundle says, and states the verdict again.

    Args:
        bundle: The file that `reveal` made.
        commitment: The commitment's file, from where it was made public. Without it, it is known
            only that the bundle agrees with itself, which anybody can bring about.

    Raises:
        BadFileError: The bundle was changed, is of another commitment, or proves nothing.
    """
    public = None if commitment is None else load_commitment(commitment)
    found = read_bundle(read_bytes(bundle, most=MAX_BYTES), name=str(bundle))
    verdict = judge_bundle(found, name=str(bundle), commitment=public)
    return _Recheck.model_validate(
        {
            **judged(verdict),
            "schema": "modelseal.recheck/1",
            "verdict": verdict,
            "bundle": str(bundle),
            "commitment": None if commitment is None else str(commitment),
            "committed": found.commitment.time,
            "revealed": found.time,
        }
    )


def judge_bundle(bundle: Bundle, *, name: str, commitment: Commitment | None = None) -> Verdict:
    """The verdict that a bundle leads to, once all that it says is checked."""
    if commitment is not None and bundle.commitment != commitment:
        raise BadFileError(name, "expected the public one, got another", field="commitment")
    _check_signature(bundle, name=name)
    _check_proofs(bundle, name=name)
    try:
        revealed = _understand(bundle)
    except InvalidArgumentError as error:
        raise BadFileError(name, error.problem, field=error.field) from error
    evidence = tuple(_find(revealed, place, asked) for place, asked in enumerate(bundle.asked))
    return _conclude(bundle, evidence)


def _check_signature(bundle: Bundle, *, name: str) -> None:
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(bundle.commitment.key))
        parts = bundle.model_dump(mode="json", by_alias=True, exclude={"signature"})
        key.verify(base64.b64decode(bundle.signature), SIGNED + canonical(parts).encode())
    except (InvalidSignature, ValueError) as error:
        raise BadFileError(
            name,
            "expected one by the commitment's key, got another: the bundle was changed",
            field="signature",
        ) from error


def _check_proofs(bundle: Bundle, *, name: str) -> None:
    hashes = bundle.commitment.samples
    numbers = [asked.number for asked in bundle.asked]
    if len(set(numbers)) < len(numbers) or not set(numbers) <= set(range(len(hashes))):
        raise BadFileError(
            name, f"expected samples 0 to {len(hashes) - 1}, each once at most", field="asked"
        )
    for place, asked in enumerate(bundle.asked):
        sample = asked.sample.model_dump(mode="json")
        if hash_sample(sample, bytes.fromhex(asked.salt)) != hashes[asked.number]:
            raise BadFileError(
                name,
                f"expected sample {asked.number} as it was committed to, got another",
                field=f"asked[{place}].sample",
            )


def _understand(bundle: Bundle) -> Revealed:
    """What the samples are judged by, once it is known to make sense."""
    committed = bundle.commitment
    try:
        domain = Domain(**committed.domain.model_dump())
        spec = parse_spec(committed.spec)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(error.problem, field="commitment") from error
    check_names(bundle.names, committed.classes)
    size = prod(domain.shape) * (1 if domain.levels else 4)
    for place, asked in enumerate(bundle.asked):
        _check_codes(asked.sample.codes, size, field=f"asked[{place}].sample.codes")
    samples = [asked.sample for asked in bundle.asked]
    expected = Answers(
        kind=form_of(spec, committed.classes).kind,
        labels=_stack([sample.labels for sample in samples], np.int64),
        values=_stack([sample.values for sample in samples], np.float64),
    )
    check_expected(expected, spec, count=len(samples), classes=committed.classes)
    return Revealed(spec=spec, classes=committed.classes, names=bundle.names, expected=expected)


def _check_codes(text: str, size: int, *, field: str) -> None:
    try:
        got = len(base64.b64decode(text, validate=True))
    except binascii.Error as error:
        raise InvalidArgumentError("expected base64, got something else", field=field) from error
    if got != size:
        raise InvalidArgumentError(f"expected {size} bytes, got {got}", field=field)


def _stack(rows: Sequence[tuple[int | float, ...] | None], kind: type[np.generic]) -> Array | None:
    """Rows of one length as an array; nothing if none is there."""
    there = [row for row in rows if row is not None]
    if not there:
        return None
    if len(there) < len(rows) or len({len(row) for row in there}) > 1:
        raise InvalidArgumentError("expected rows of one length, got several", field="asked")
    try:
        return np.array(there, kind)
    except OverflowError as error:
        raise InvalidArgumentError("expected numbers of 64 bits, got more", field="asked") from (
            error
        )


def _find(revealed: Revealed, place: int, asked: Asked) -> Evidence:
    """What the answers to one sample show, by the rule of `verify` for recorded answers.

    An error stands for nothing beside an answer, and answers that contradict one another are none.
    """
    there = [shown for shown in asked.answers if shown.error is None] or asked.answers
    answer: Answers | EndpointError
    try:
        answer = settle([_answer_of(shown) for shown in there])
    except EndpointError as error:
        answer = error
    return replace(examine(revealed, place, answer), sample=asked.number)


def _answer_of(shown: Shown) -> Answers:
    parts = {
        Kind.LABELS: shown.labels,
        Kind.SCORES: shown.scores,
        Kind.PROBABILITIES: shown.probabilities,
    }
    there = [kind for kind, part in parts.items() if part is not None]
    if shown.error is not None or not there:
        raise EndpointError(shown.error or "no answer came")
    if len(there) > 1 and there != [Kind.LABELS, Kind.PROBABILITIES]:
        raise EndpointError("expected labels, probabilities or scores, got more than one")
    values = shown.scores if shown.scores is not None else shown.probabilities
    try:
        return Answers(
            kind=there[0],
            labels=_stack([shown.labels], np.int64),
            values=_stack([values], np.float64),
            digits=shown.digits,
        )
    except InvalidArgumentError as error:
        raise EndpointError(str(error)) from error


def _conclude(bundle: Bundle, evidence: tuple[Evidence, ...]) -> Verdict:
    samples = len(bundle.commitment.samples)
    chosen = tuple(asked.number for asked in bundle.asked)
    outcome = judge(evidence, samples=samples, chosen=chosen)
    wanted, said = {
        Outcome.INTACT: (Finding.AGREES, "answered as expected"),
        Outcome.TAMPERED: (Finding.DIFFERS, "answered otherwise"),
        Outcome.UNDECIDED: (Finding.UNCLEAR, "gave no clear answer"),
    }[outcome]
    count = sum(entry.finding is wanted for entry in evidence)
    return Verdict(
        outcome=outcome,
        samples=samples,
        evidence=evidence,
        reason=f"{count} of {len(evidence)} revealed samples, of {samples} sealed ones, {said}",
        chosen=chosen,
        provenance=Provenance(
            endpoint=bundle.endpoint,
            weights_digest=bundle.commitment.weights_digest,
            time=now(),
        ),
    )
