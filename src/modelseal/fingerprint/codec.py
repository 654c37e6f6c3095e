"""Digests that tell one set of weights, or one content of a file, from another."""

import hashlib
import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors.numpy import save

from modelseal.domain import Domain
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.files import read_bytes, too_large, write_atomically
from modelseal.fingerprint.checks import form_of
from modelseal.fingerprint.encryption import is_encrypted
from modelseal.fingerprint.format import EnrolledHeader, Header, LimitHeader, parse_header
from modelseal.fingerprint.record import Enrollment, Fingerprint, Limit, Origin
from modelseal.outputs.answers import Answers
from modelseal.outputs.specs import OutputSpec, parse_spec
from modelseal.types import Array


def weights_digest(arrays: Mapping[str, Array]) -> str:
    """SHA-256 over the names, types, shapes and values of arrays.

    The order of the mapping, the byte order and the memory layout make no difference. Each of
    the four parts of an array goes in with its length before it, so that no two sets of arrays
    give the same bytes.

    Args:
        arrays: The arrays by name; of booleans, whole, floating-point or complex numbers.

    Returns:
        `sha256:` and 64 hexadecimal digits.

    Raises:
        InvalidArgumentError: An array holds something else.

    Examples:
        >>> weights_digest({"bias": np.zeros(2, np.float32)})[:15]
        'sha256:4df101b7'
    """
    hasher = hashlib.sha256()
    for name in sorted(arrays):
        for part in parts(name, arrays[name]):
            hasher.update(len(part).to_bytes(8, "little"))
            hasher.update(part)
    return f"sha256:{hasher.hexdigest()}"


def content_digest(header: bytes, tensors: Mapping[str, Array]) -> str:
    """SHA-256 over the header and the tensors of a file, as `weights_digest` takes it.

    The header counts as one more array, of bytes, with an empty name.
    """
    return weights_digest({"": np.frombuffer(header, np.uint8), **tensors})


def parts(name: str, array: Array) -> tuple[bytes, bytes, bytes, bytes]:
    """The name, type, shape and values of an array as bytes."""
    if array.dtype.kind not in "biufc":
        raise InvalidArgumentError(f"arrays of numbers were wanted, but {name!r} is {array.dtype}")
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    shape = ",".join(map(str, array.shape))
    return name.encode(), little.dtype.str.encode(), shape.encode(), little.tobytes()


NUMBERS = {"U8": np.uint8, "F32": np.float32, "F64": np.float64, "I64": np.int64}
"""The types that tensors have, by their name in safetensors."""

COLUMNS = {"margins": "F64", "moves": "F64", "psnr": "F64", "sources": "I64"}
"""The tensors with one number for each sample, and their type."""


def pack(fingerprint: Fingerprint) -> dict[str, Array]:
    """The arrays of a fingerprint by the name of their tensor, in its type."""
    arrays: dict[str, Array | None] = {
        "samples": fingerprint.samples,
        "expected_labels": fingerprint.expected.labels,
        "expected_values": fingerprint.expected.values,
        "margins": fingerprint.margins,
        "moves": fingerprint.moves,
        "psnr": fingerprint.psnr,
        "sources": fingerprint.sources,
        "neighbours": fingerprint.neighbours,
    }
    types = types_of(fingerprint.domain)
    return {
        name: np.ascontiguousarray(array, NUMBERS[types[name]])
        for name, array in arrays.items()
        if array is not None
    }


def types_of(domain: Domain) -> dict[str, str]:
    """The type of every tensor that a fingerprint may have."""
    samples = "U8" if domain.levels else "F32"
    return {
        "samples": samples,
        "expected_labels": "I64",
        "expected_values": "F64",
        "neighbours": "I64",
        **COLUMNS,
    }


def load(data: bytes) -> dict[str, Array]:
    """All tensors of a file by name.

    Raises:
        InvalidArgumentError: It is no valid safetensors file, or a type is not known.
    """
    try:
        return safetensors.numpy.load(data)
    except safetensors.SafetensorError as error:
        raise InvalidArgumentError(f"a safetensors file was wanted, but: {error}") from error
    except KeyError as error:
        raise InvalidArgumentError(f"no fingerprint has tensors of type {error}") from error


def expected_answers(
    arrays: Mapping[str, Array],
    *,
    domain: Domain,
    spec: OutputSpec,
    classes: int,
    neighbours: int = 0,
) -> Answers:
    """The expected answers among the tensors, once these are exactly those of a fingerprint.

    Args:
        arrays: The tensors.
        domain: What a valid input is.
        spec: What the endpoint shows.
        classes: How many scores there are.
        neighbours: How many neighbours each sample may have.

    Raises:
        InvalidArgumentError: A tensor is missing, or too many, or of another type or shape.
    """
    form = form_of(spec, classes)
    shapes: dict[str, tuple[int, ...]] = {"samples": domain.shape, **dict.fromkeys(COLUMNS, ())}
    if form.labels is not None:
        shapes["expected_labels"] = form.labels.shape[1:]
    if form.values is not None:
        shapes["expected_values"] = form.values.shape[1:]
    if neighbours:
        shapes["neighbours"] = (neighbours,)
    for name in sorted(shapes.keys() ^ arrays.keys()):
        raise InvalidArgumentError("is missing" if name in shapes else "is not known", field=name)
    count = arrays["margins"].shape[0] if arrays["margins"].ndim else 0
    types = types_of(domain)
    for name, shape in shapes.items():
        check_tensor(arrays[name], (count, *shape), types[name], field=name)
    return Answers(
        kind=form.kind,
        labels=arrays.get("expected_labels"),
        values=arrays.get("expected_values"),
    )


def check_tensor(array: Array, shape: tuple[int, ...], kind: str, *, field: str) -> None:
    """Makes sure that a tensor has a shape and a type."""
    if array.shape != shape or array.dtype != NUMBERS[kind]:
        raise InvalidArgumentError(
            f"type {np.dtype(NUMBERS[kind])} and shape {list(shape)} were wanted, "
            f"but {array.dtype} and {list(array.shape)} came",
            field=field,
        )


MAX_BYTES = 2**31
"""The largest file that is written or read."""

MAX_HEADER_BYTES = 2**20
"""The largest header of a file that is written or read."""

KEY = "modelseal"
"""The one key of the safetensors metadata."""


def encode(fingerprint: Fingerprint) -> bytes:
    """Writes a fingerprint as bytes, always the same for the same fingerprint.

    Raises:
        InvalidArgumentError: Its output spec has no text form, or it is larger than the format
            allows.
    """
    header, tensors = describe(fingerprint), pack(fingerprint)
    digest = content_digest(canonical(header).encode(), tensors)
    data = save(tensors, {KEY: canonical({**header, "digest": digest})})
    if len(data) > MAX_BYTES or header_length(data) > MAX_HEADER_BYTES:
        raise InvalidArgumentError(
            f"a fingerprint of at most {MAX_BYTES} bytes with a header of at most "
            f"{MAX_HEADER_BYTES} was wanted, but {len(data)} and {header_length(data)} came"
        )
    return data


def decode(data: bytes, *, name: str) -> Fingerprint:
    """Reads a fingerprint from the bytes that `encode` gave.

    Args:
        data: The whole content of a file.
        name: What the file is called in errors.

    Raises:
        BadFileError: The bytes are anything else; the error names the wrong field.
    """
    length = check_length(data, name=name)
    header = parse_header(data[8 : 8 + length], name=name)
    try:
        fingerprint = build(header, load(data))
        again = encode(fingerprint)
    except InvalidArgumentError as error:
        raise BadFileError(name, error.problem, field=error.field) from error
    if again != data:
        raise BadFileError(
            name, "its bytes do not fit its digest or the format: it is damaged or was altered"
        )
    return fingerprint


def write(fingerprint: Fingerprint, path: Path) -> None:
    """Writes a fingerprint to a file, whole or not at all; a new one is for its owner alone.

    Raises:
        BadFileError: The file cannot be written.
        InvalidArgumentError: The fingerprint is too large.
    """
    write_atomically(path, encode(fingerprint))


def read(path: Path) -> Fingerprint:
    """Reads a fingerprint from a file.

    Raises:
        BadFileError: The file cannot be read or is not exactly a fingerprint.
    """
    return decode(read_bytes(path, most=MAX_BYTES), name=str(path))


def file_digest(fingerprint: Fingerprint) -> str:
    """The SHA-256 of the file that a fingerprint is written as.

    Returns:
        `sha256:` and 64 hexadecimal digits.

    Raises:
        InvalidArgumentError: The fingerprint cannot be written.
    """
    return f"sha256:{sha256(encode(fingerprint)).hexdigest()}"


def canonical(header: dict[str, object]) -> str:
    """The one JSON text for a header: keys sorted, no spaces, ASCII only."""
    return json.dumps(header, sort_keys=True, separators=(",", ":"), allow_nan=False)


def describe(fingerprint: Fingerprint) -> dict[str, object]:
    """The header of a fingerprint: all but its arrays and the digest."""
    domain, origin = fingerprint.domain, fingerprint.origin
    return {
        **describe_additions(fingerprint),
        "domain": {
            "shape": list(domain.shape),
            "bounds": [float(bound) for bound in domain.bounds],
            "levels": domain.levels,
        },
        "spec": str(parse_spec(str(fingerprint.spec))),
        "classes": fingerprint.classes,
        "names": list(fingerprint.names),
        "factor": float(fingerprint.factor),
        "origin": {
            "method": origin.method,
            "parameters": dict(origin.parameters),
            "seed": origin.seed,
            "weights_digest": origin.weights_digest,
            "packages": dict(origin.packages),
            "created": origin.created,
            "variants": list(origin.variants),
            "harmless_answers": origin.harmless_answers,
        },
    }


def describe_additions(fingerprint: Fingerprint) -> dict[str, object]:
    """The format, always the lowest that can hold the fingerprint, and what it has beyond 1.0."""
    power = [describe_limit(limit) for limit in fingerprint.power]
    neighbours, enrolment = fingerprint.neighbours, fingerprint.enrollment
    if neighbours is None and enrolment is None:
        return {"format": "1.1", "power": power} if power else {"format": "1.0"}
    return {
        "format": "1.2",
        "power": power,
        "neighbours": 0 if neighbours is None else neighbours.shape[1],
        "enrolment": None if enrolment is None else describe_enrolment(enrolment),
    }


def describe_enrolment(enrolment: Enrollment) -> dict[str, object]:
    """How a trusted deployment answered, as the header has it."""
    return {
        "endpoint": enrolment.endpoint,
        "created": enrolment.created,
        "alpha": float(enrolment.alpha),
        "repeats": enrolment.repeats,
        "asked": enrolment.asked,
        "differing": list(enrolment.differing),
        "otherwise": list(enrolment.otherwise),
    }


def describe_limit(limit: Limit) -> dict[str, object]:
    """What was noticed of one family of changes, as the header has it."""
    return {
        "family": limit.family,
        "unit": limit.unit,
        "level": None if limit.level is None else float(limit.level),
        "noticed": limit.noticed,
        "draws": limit.draws,
        "fixed": limit.fixed,
    }


def header_length(data: bytes) -> int:
    """The length of the header as the first eight bytes give it."""
    return int.from_bytes(data[:8], "little")


def check_length(data: bytes, *, name: str) -> int:
    """The length of the header, once it is known to be within the bytes and the limits."""
    if len(data) > MAX_BYTES:
        raise too_large(len(data), most=MAX_BYTES, name=name)
    if is_encrypted(data):
        raise BadFileError(name, "is encrypted: its key or its passphrase was wanted")
    if len(data) < 8 or header_length(data) > len(data) - 8:
        raise BadFileError(name, f"a fingerprint was wanted, but its {len(data)} bytes are none")
    if header_length(data) > MAX_HEADER_BYTES:
        raise BadFileError(
            name, f"a header of at most {MAX_HEADER_BYTES} bytes was wanted, but it is longer"
        )
    return header_length(data)


def build(header: Header, arrays: dict[str, Array]) -> Fingerprint:
    """The fingerprint that a header and tensors describe.

    Raises:
        InvalidArgumentError: They describe none; the error names the wrong field.
    """
    domain = domain_of(header)
    try:
        spec = parse_spec(header.spec)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(error.problem, field="spec") from error
    additions = header if isinstance(header, EnrolledHeader) else None
    expected = expected_answers(
        arrays,
        domain=domain,
        spec=spec,
        classes=header.classes,
        neighbours=additions.neighbours if additions else 0,
    )
    return Fingerprint(
        domain=domain,
        spec=spec,
        classes=header.classes,
        names=header.names,
        factor=header.factor,
        origin=Origin(**header.origin.model_dump()),
        power=tuple(limit_of(each, number) for number, each in enumerate(header.limits)),
        samples=arrays["samples"],
        expected=expected,
        margins=arrays["margins"],
        moves=arrays["moves"],
        psnr=arrays["psnr"],
        sources=arrays["sources"],
        neighbours=arrays.get("neighbours"),
        enrollment=enrolment_of(additions),
    )


def enrolment_of(header: EnrolledHeader | None) -> Enrollment | None:
    """How a trusted deployment answered, if a header says so."""
    found = header.enrolment if header else None
    return Enrollment(**found.model_dump()) if found else None


def domain_of(header: Header) -> Domain:
    """The domain that a header describes."""
    try:
        return Domain(**header.domain.model_dump())
    except InvalidArgumentError as error:
        raise InvalidArgumentError(error.problem, field="domain") from error


def limit_of(part: LimitHeader, number: int) -> Limit:
    """What a header says of one family of changes, the one with this number."""
    try:
        return Limit(**part.model_dump())
    except InvalidArgumentError as error:
        field = f"power[{number}].{error.field}"
        raise InvalidArgumentError(error.problem, field=field) from error
