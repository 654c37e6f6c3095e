"""Answers that nobody would give, from a server, a file and a class, and what is made of them."""

import json
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np

from fuzz_truth import OUTPUT_TYPES, Body, deserved, object_right, recorded_right
from fuzzing import Case, Tally, any_json, mutate, mutate_json, run_cases
from modelseal.endpoints.http import Connection, Reply
from modelseal.endpoints.oip.rest import OipEndpoint
from modelseal.endpoints.recorded import RecordedEndpoint, record
from modelseal.enums import Depth
from modelseal.fingerprint.file_format import load
from modelseal.fingerprint.fingerprint import Fingerprint
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.comparison import softmax
from modelseal.outputs.specs import (
    OutputSpec,
    Probabilities,
    RawScores,
    TopLabels,
    TopProbabilities,
    parse_spec,
)
from modelseal.types import Array, Codes
from modelseal.verdict import Verdict
from modelseal.verification.verify import verify

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden"
SPECS: tuple[OutputSpec, ...] = (
    TopLabels(),
    TopLabels(3),
    TopProbabilities(2, 3),
    Probabilities(4),
    RawScores(0.25),
)
DTYPES = ("f4", "f2", "u8", "i1", "?", "O", "U3", "c16", "m8[s]")
SHAPES: tuple[tuple[int, ...], ...] = ((0, 5), (2, 5), (1, 0), (5,), (), (1, 5, 1))
NUMBERS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, -1.0, 0.2, 1e30, np.inf, np.nan)
Change: TypeAlias = Callable[[Body, np.random.Generator], Body]
LENGTH = "inference-header-content-length"


def sealed_for(spec: OutputSpec) -> tuple[Fingerprint, Array]:
    """A fingerprint with this spec, and the scores of the model that it was sealed of."""
    return sealed_as(str(spec))


@cache
def sealed_as(text: str) -> tuple[Fingerprint, Array]:
    """The same for the text of a spec."""
    spec = parse_spec(text)
    golden = load(GOLDEN / "format-1.0.seal")
    scores = np.sin(np.arange(len(golden) * golden.classes)).reshape(len(golden), golden.classes)
    return replace(golden, spec=spec, expected=spec.reveal(scores)), scores


def any_sealed(chance: np.random.Generator) -> tuple[Fingerprint, Array]:
    """One of these fingerprints."""
    return sealed_for(SPECS[chance.integers(len(SPECS))])


def right_output(fingerprint: Fingerprint, scores: Array, number: int) -> tuple[str, Array]:
    """What a server answers that serves the sealed model: the type and the numbers."""
    if isinstance(fingerprint.spec, TopLabels):
        return "INT64", cast(Array, fingerprint.expected.labels)[[number]]
    row = scores[[number]]
    return "FP64", row if isinstance(fingerprint.spec, RawScores) else softmax(row)


class FuzzedServer(Connection):
    """Answers in the place of a server, without a network between.

    Args:
        fingerprint: Whose samples come.
        bodies: What is answered to each.
        metadata: What the model says of itself.
    """

    def __init__(self, fingerprint: Fingerprint, bodies: list[Body], metadata: bytes) -> None:
        self.numbers = {row.tobytes(): n for n, row in enumerate(fingerprint.samples)}
        self.domain = fingerprint.domain
        self.bodies = bodies
        self.metadata = metadata

    def exchange(
        self,
        method: str,
        url: str,
        *,
        content: bytes = b"",
        headers: Any = None,  # noqa: ANN401
    ) -> Reply:
        """The metadata of the model or of the server, or the body for the sample that is asked."""
        if method == "GET":
            return Reply(body=self.metadata if url.endswith("/m") else b"{}", headers={})
        (tensor,) = json.loads(content)["inputs"]
        codes = self.domain.encode(np.array(tensor["data"]).reshape(1, *self.domain.shape))
        answer = self.bodies[self.numbers[codes[0].tobytes()]]
        return Reply(body=answer.data, headers={LENGTH: answer.length} if answer.length else {})


class FuzzedEndpoint(OipEndpoint):
    """An endpoint whose connection is a `FuzzedServer`."""

    server: FuzzedServer

    def _open(self) -> Connection:
        return self.server


def right_body(fingerprint: Fingerprint, scores: Array, number: int, *, binary: bool) -> Body:
    """What a real server sends for one sample."""
    datatype, array = right_output(fingerprint, scores, number)
    output: dict[str, object] = {"name": "y", "datatype": datatype, "shape": list(array.shape)}
    content: dict[str, object] = {"model_name": "m", "model_version": "1", "outputs": [output]}
    if not binary:
        output["data"] = array.ravel().tolist()
        return Body(data=json.dumps(content).encode())
    data = array.astype(OUTPUT_TYPES[datatype]).tobytes()
    output["parameters"] = {"binary_data_size": len(data)}
    head = json.dumps(content).encode()
    return Body(data=head + data, length=str(len(head)))


def ask_server(fingerprint: Fingerprint, bodies: list[Body], metadata: bytes) -> Verdict:
    """The verdict on a server that answers so."""
    probable = isinstance(fingerprint.spec, Probabilities | TopProbabilities)
    shows = Kind.PROBABILITIES if probable else Kind.SCORES
    endpoint = FuzzedEndpoint("http://h/v2/models/m", fingerprint.domain, shows=shows)
    endpoint.server = FuzzedServer(fingerprint, bodies, metadata)
    return verify(fingerprint, endpoint, generator=np.random.default_rng(0), depth=Depth.ALL)


def served(chance: np.random.Generator, *, change: Change) -> tuple[Verdict, bool]:
    """A server of which one or two answers, and now and then the metadata, are changed."""
    fingerprint, scores = any_sealed(chance)
    binary = bool(chance.integers(2))
    bodies = [right_body(fingerprint, scores, n, binary=binary) for n in range(len(fingerprint))]
    for number in chance.choice(len(bodies), size=chance.integers(1, 3), replace=False):
        bodies[number] = change(bodies[number], chance)
    inputs = [{"name": "x", "datatype": "FP64", "shape": [-1, *fingerprint.domain.shape]}]
    metadata = json.dumps({"name": "m", "inputs": inputs, "outputs": [{"name": "y"}]}).encode()
    if not chance.integers(8):
        metadata = mutate(metadata, chance)
    verdict = ask_server(fingerprint, bodies, metadata)
    return verdict, all(deserved(fingerprint, n, body) for n, body in enumerate(bodies))


def change_bytes(body: Body, chance: np.random.Generator) -> Body:
    """Changes bytes of a response, or of the header that says where its JSON ends."""
    if chance.integers(5):
        return replace(body, data=mutate(body.data, chance))
    return replace(body, length=mutate(body.length.encode(), chance).decode(errors="replace"))


def change_values(body: Body, chance: np.random.Generator) -> Body:
    """Changes what a response says and leaves it well formed."""
    end = int(body.length) if body.length else len(body.data)
    content = mutate_json(json.loads(body.data[:end]), chance)
    head = json.dumps(content).encode()
    return Body(data=head + body.data[end:], length=str(len(head)) if body.length else "")


def change_all(body: Body, chance: np.random.Generator) -> Body:
    """Puts any JSON in the place of a response."""
    return Body(data=json.dumps(any_json(chance)).encode())


def recorded(chance: np.random.Generator) -> tuple[Verdict, bool]:
    """A file of recorded answers that was changed, in its bytes or in what a line says."""
    fingerprint, scores = any_sealed(chance)
    raw = isinstance(fingerprint.spec, RawScores)
    answers = Answers(kind=Kind.SCORES, values=scores) if raw else fingerprint.expected
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answers.jsonl"
        record(answers, path)
        lines = path.read_bytes().splitlines()
        if chance.integers(2):
            place = chance.integers(len(lines))
            lines[place] = json.dumps(mutate_json(json.loads(lines[place]), chance)).encode()
            path.write_bytes(b"\n".join(lines))
        else:
            path.write_bytes(mutate(path.read_bytes(), chance))
        founded = all(recorded_right(fingerprint, path, n) for n in range(len(fingerprint)))
        endpoint = RecordedEndpoint(path, fingerprint.samples)
        verdict = verify(fingerprint, endpoint, generator=chance, depth=Depth.ALL)
    return verdict, founded


class AnyAnswers:
    """An endpoint of somebody else's class, which gives whatever it likes for some samples."""

    def __init__(self, fingerprint: Fingerprint, answers: dict[bytes, object]) -> None:
        self.fingerprint = fingerprint
        self.answers = answers

    def ask(self, codes: Codes) -> Answers:
        """Gives what was made up for the sample, or the expected answer."""
        numbers = (
            number
            for number in range(len(self.fingerprint))
            if (self.fingerprint.faces(number) == codes).reshape(-1, codes[0].size).all(1).any()
        )
        right = self.fingerprint.expected.take(np.array([next(numbers)]))
        return cast(Answers, self.answers.get(codes[0].tobytes(), right))


def any_answer(chance: np.random.Generator) -> object:
    """An answer past all checks of its class, or something else."""
    if not chance.integers(8):
        return any_json(chance)
    answer = object.__new__(Answers)
    kinds: tuple[object, ...] = (*Kind, None, "labels")
    fields = {
        "kind": kinds[chance.integers(len(kinds))],
        "labels": any_part(chance),
        "values": any_part(chance),
        "digits": (None, 3, "x")[chance.integers(3)],
    }
    for name, value in fields.items():
        object.__setattr__(answer, name, value)
    return answer


def any_part(chance: np.random.Generator) -> object:
    """Nothing, any JSON, or an array of any shape and type."""
    choice = chance.integers(8)
    if choice < 3:
        return None if choice else any_json(chance)
    shape = SHAPES[chance.integers(len(SHAPES))] if choice == 3 else (1, chance.integers(1, 6))
    numbers = np.array(NUMBERS)[chance.integers(len(NUMBERS), size=shape)]
    dtype = DTYPES[chance.integers(len(DTYPES))] if choice == 4 else ("f8", "i8")[choice % 2]
    with warnings.catch_warnings():  # an infinity as a whole number is some number or other
        warnings.simplefilter("ignore")
        return np.asarray(numbers).astype(dtype)


def classes_of_others(chance: np.random.Generator) -> tuple[Verdict, bool]:
    """An endpoint that gives any object for one or two samples."""
    fingerprint, _ = any_sealed(chance)
    chosen = chance.choice(len(fingerprint), size=chance.integers(1, 3), replace=False)
    made = {int(number): any_answer(chance) for number in chosen}
    answers = {fingerprint.samples[number].tobytes(): each for number, each in made.items()}
    endpoint = AnyAnswers(fingerprint, answers)
    verdict = verify(fingerprint, endpoint, generator=chance, depth=Depth.ALL)
    return verdict, all(object_right(fingerprint, n, each) for n, each in made.items())


KINDS: dict[str, Case] = {
    "mutated responses": lambda chance: served(chance, change=change_bytes),
    "changed responses": lambda chance: served(chance, change=change_values),
    "any JSON": lambda chance: served(chance, change=change_all),
    "mutated records": recorded,
    "any objects": classes_of_others,
}


def fuzz_answers(count: int, *, seed: int = 0) -> Tally:
    """Verifies with fuzzed answers of every kind, so many in all."""
    return run_cases(KINDS, count=count, seed=seed)
