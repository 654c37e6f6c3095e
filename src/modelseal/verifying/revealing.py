"""Makes an evidence bundle of recorded answers: what was asked, what came, and proofs."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import cast

from modelseal.endpoints.answer_lines import RECORD
from modelseal.endpoints.reading import JsonObject, name_of, read_object
from modelseal.endpoints.recorded import LARGEST
from modelseal.endpoints.recording import check_digest, says_neighbours
from modelseal.errors import BadFileError, EndpointError
from modelseal.fingerprint.codec import file_digest
from modelseal.fingerprint.parsing import parse
from modelseal.fingerprint.record import Fingerprint
from modelseal.verifying.bundle import SCHEMA, Bundle, Evidence, Shown, message_of, sign_bundle
from modelseal.verifying.commitment import Salts, commit, describe_sample

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
    return parse(Shown, json.dumps({**missing, **content}), name=name)


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
    evidence = Evidence.model_validate(
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
