"""Fingerprints as bytes: safetensors with a canonical JSON header, see `docs/format.md`.

The same fingerprint always gives the same bytes, and only these bytes are read back.
"""

import json
import stat
from hashlib import sha256
from pathlib import Path

from safetensors.numpy import save

from modelseal.domain import Domain
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.fingerprint.digest import content_digest
from modelseal.fingerprint.parsing import Header, LimitHeader, parse_header
from modelseal.fingerprint.power import Limit
from modelseal.fingerprint.record import Fingerprint, Origin
from modelseal.fingerprint.tensors import expected_answers, load, pack
from modelseal.outputs.specs import parse_spec
from modelseal.shapes import Array
from modelseal.writing import explain, write_atomically

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
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadFileError(path, "a file was wanted, but this is something else")
        if status.st_size > MAX_BYTES:
            raise too_large(status.st_size, name=str(path))
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise BadFileError(path, f"cannot be read: {explain(error)}") from error
    return decode(data, name=str(path))


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
    power = [describe_limit(limit) for limit in fingerprint.power]
    return {
        # Always the lowest that can hold it.
        "format": "1.1" if power else "1.0",
        **({"power": power} if power else {}),
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
        raise too_large(len(data), name=name)
    if len(data) < 8 or header_length(data) > len(data) - 8:
        raise BadFileError(name, f"a fingerprint was wanted, but its {len(data)} bytes are none")
    if header_length(data) > MAX_HEADER_BYTES:
        raise BadFileError(
            name, f"a header of at most {MAX_HEADER_BYTES} bytes was wanted, but it is longer"
        )
    return header_length(data)


def too_large(size: int, *, name: str) -> BadFileError:
    """The error for a file of too many bytes."""
    return BadFileError(name, f"at most {MAX_BYTES} bytes were wanted, but it has {size}")


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
    expected = expected_answers(arrays, domain=domain, spec=spec, classes=header.classes)
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
    )


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
