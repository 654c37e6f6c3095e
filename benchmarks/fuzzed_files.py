"""Fingerprint files that were damaged or forged, and what is made of them."""

import json
from collections.abc import Callable
from functools import cache
from typing import TypeAlias

import numpy as np
import safetensors.numpy

from fuzz_truth import close, distance
from fuzzed_answers import GOLDEN, AnyAnswers
from fuzzing import Case, Tally, mutate, mutate_json, run_cases
from modelseal.enums import Depth
from modelseal.fingerprint.file_format import KEY, canonical, content_digest, decode
from modelseal.fingerprint.fingerprint import Fingerprint
from modelseal.outputs.answers import Answers
from modelseal.types import Array
from modelseal.verdict import Verdict
from modelseal.verification.verify import verify

Change: TypeAlias = Callable[[bytes, np.random.Generator], bytes]


@cache
def golden() -> tuple[bytes, ...]:
    """The files of every version of the format."""
    return tuple(path.read_bytes() for path in sorted(GOLDEN.glob("*.seal")))


def forge(header: dict[str, object], tensors: dict[str, Array]) -> bytes:
    """A file with this content, whose digest fits it."""
    text = canonical({name: each for name, each in header.items() if name != "digest"})
    digest = content_digest(text.encode(), tensors)
    return safetensors.numpy.save(tensors, {KEY: canonical({**header, "digest": digest})})


def split(data: bytes) -> tuple[dict[str, object], dict[str, Array]]:
    """The header and the tensors of a file."""
    length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + length])["__metadata__"]
    return json.loads(metadata[KEY]), safetensors.numpy.load(data)


def forge_header(data: bytes, chance: np.random.Generator) -> bytes:
    """Changes what the header says, and makes the digest anew."""
    header, tensors = split(data)
    for _ in range(chance.integers(1, 3)):
        names = list(header)
        name = names[chance.integers(len(names))]
        header = {**header, name: mutate_json(header[name], chance)}
        if not chance.integers(10):
            del header[name]
    return forge(header, tensors)


def forge_tensor(data: bytes, chance: np.random.Generator) -> bytes:
    """Changes bytes, the type or the shape of a tensor, and makes the digest anew."""
    header, tensors = split(data)
    name = list(tensors)[chance.integers(len(tensors))]
    array = tensors[name]
    match chance.integers(4):
        case 0:
            tensors[name] = array[: chance.integers(len(array) + 1)]
        case 1:
            tensors[name] = array.ravel()
        case 2:
            dtype = ("f4", "f8", "i4", "u1", "?")[chance.integers(5)]
            with np.errstate(invalid="ignore"):  # an infinity is some number or other then
                tensors[name] = array.astype(dtype)
        case _:
            content = bytearray(array.tobytes())
            content[chance.integers(len(content))] ^= 1 << int(chance.integers(8))
            tensors[name] = np.frombuffer(content, array.dtype).reshape(array.shape)
    return forge(header, tensors)


def opened(chance: np.random.Generator, *, change: Change) -> tuple[Verdict, bool]:
    """Reads a changed file, and asks the model that the unchanged one was sealed of.

    Whoever changes a file and its digest makes another fingerprint. So the verdict deserves to be
    intact only if the answers are those that the changed file expects, of all its samples.
    """
    data = golden()[chance.integers(len(golden()))]
    true = decode(data, name="golden")
    fingerprint = decode(change(data, chance), name="fuzzed")
    numbers = number_faces(fingerprint)
    rows = {content: np.array([n % len(true)]) for content, n in numbers.items()}
    answers = {content: true.expected.take(row) for content, row in rows.items()}
    endpoint = AnyAnswers(fingerprint, dict(answers))
    verdict = verify(fingerprint, endpoint, generator=chance, depth=Depth.ALL)
    return verdict, all(
        expects(fingerprint, n, answers[row.tobytes()]) for n, row in enumerate(fingerprint.samples)
    )


def number_faces(fingerprint: Fingerprint) -> dict[bytes, int]:
    """The number of the sample that each input stands for, a neighbour for its own sample.

    What is a sample itself is that sample, whatever it is a neighbour of.
    """
    last = range(len(fingerprint) - 1, -1, -1)
    faces = {face.tobytes(): number for number in last for face in fingerprint.faces(number)}
    return faces | {fingerprint.samples[number].tobytes(): number for number in last}


def expects(fingerprint: Fingerprint, number: int, answer: Answers) -> bool:
    """Whether an answer of labels and probabilities is the one that is expected of a sample."""
    labels, values = fingerprint.expected.labels, fingerprint.expected.values
    if labels is None or answer.labels is None or answer.values is None:
        return False
    width = labels.shape[1]
    near = values is None or close(
        values[number], answer.values[0][:width], distance(fingerprint.spec)
    )
    return near and answer.labels[0][:width].tolist() == labels[number].tolist()


KINDS: dict[str, Case] = {
    "changed bytes": lambda chance: opened(chance, change=mutate),
    "forged headers": lambda chance: opened(chance, change=forge_header),
    "forged tensors": lambda chance: opened(chance, change=forge_tensor),
}


def fuzz_files(count: int, *, seed: int = 0) -> Tally:
    """Verifies with fuzzed fingerprint files of every kind, so many in all."""
    return run_cases(KINDS, count=count, seed=seed)
