"""What verifying costs by itself, beside the HTTP client that it asks with."""

import asyncio
import json
import multiprocessing
import statistics
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection as Pipe
from time import perf_counter

import httpx2
import numpy as np

from fuzzed_answers import sealed_for
from modelseal.domain import Domain
from modelseal.endpoints.oip.rest import OipEndpoint
from modelseal.fingerprint.fingerprint import Fingerprint
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.specs import TopLabels
from modelseal.verdict import Outcome
from modelseal.verification.verify import verify

SAMPLES = 64
LABEL = 3


def fingerprint_of(domain: Domain) -> Fingerprint:
    """A fingerprint of random inputs that are all to be answered with one label."""
    made, _ = sealed_for(TopLabels())
    codes = np.random.default_rng(0).integers(0, 256, (SAMPLES, *domain.shape), dtype=np.uint8)
    labels = Answers(kind=Kind.LABELS, labels=np.full((SAMPLES, 1), LABEL))
    return replace(
        made,
        domain=domain,
        samples=codes,
        expected=labels,
        margins=np.resize(made.margins, SAMPLES),
        moves=np.resize(made.moves, SAMPLES),
        psnr=np.resize(made.psnr, SAMPLES),
        sources=np.resize(made.sources, SAMPLES),
    )


def serve(metadata: bytes, answer: bytes, pipe: Pipe) -> None:
    """Answers every request with one of two bodies, and reads no more of it than its length."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:-2])
            await reader.readexactly(int(fields.get(b"content-length", b"0")))
            body = metadata if head.startswith(b"GET") else answer
            start = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
            writer.write(start + str(len(body)).encode() + b"\r\n\r\n" + body)

    async def run() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", 0, limit=2**24)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


@contextmanager
def served(fingerprint: Fingerprint, datatype: str) -> Iterator[str]:
    """Starts the server in a process of its own, and gives the model's address."""
    shape = [-1, *fingerprint.domain.shape]
    inputs = [{"name": "x", "datatype": datatype, "shape": shape}]
    metadata = json.dumps({"inputs": inputs, "outputs": [{"name": "y"}]}).encode()
    output = {"name": "y", "datatype": "INT64", "shape": [1, 1], "data": [LABEL]}
    ours, theirs = multiprocessing.Pipe()
    arguments = (metadata, json.dumps({"outputs": [output]}).encode(), theirs)
    process = multiprocessing.get_context("spawn").Process(target=serve, args=arguments)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/v2/models/m"
    finally:
        process.terminate()
        process.join()


def bodies_of(fingerprint: Fingerprint, datatype: str) -> list[bytes]:
    """What the raw client sends: the same numbers, written beforehand."""
    codes = fingerprint.samples
    inputs = codes if datatype == "UINT8" else fingerprint.domain.decode(codes)
    head = {"name": "x", "datatype": datatype, "shape": [1, *fingerprint.domain.shape]}
    return [
        json.dumps({"id": "x", "inputs": [{**head, "data": row.ravel().tolist()}]}).encode()
        for row in inputs
    ]


def measure(datatype: str, *, shape: tuple[int, ...], rounds: int) -> dict[str, float]:
    """Milliseconds per request of verifying, of the raw client and of the difference.

    Both ask the same samples of one server over a connection that is kept, in turn, so that a
    machine that becomes slower does so for both. What is stated is the median over the rounds.
    """
    fingerprint = fingerprint_of(Domain(shape=shape))
    bodies = bodies_of(fingerprint, datatype)
    pairs = []
    with (
        served(fingerprint, datatype) as url,
        closing(httpx2.Client()) as client,
        OipEndpoint(url, fingerprint.domain) as endpoint,
    ):
        for _ in range(rounds):
            ours, theirs = time_verify(fingerprint, endpoint), time_client(client, url, bodies)
            pairs.append((ours, theirs, ours - theirs))
    names = ("verify_ms", "client_ms", "overhead_ms")
    columns = zip(*pairs[1:], strict=True)  # the first round opens connections
    return {name: statistics.median(each) for name, each in zip(names, columns, strict=True)}


def time_verify(fingerprint: Fingerprint, endpoint: OipEndpoint) -> float:
    """Milliseconds per request of one verification."""
    begin = perf_counter()
    verdict = verify(fingerprint, endpoint, generator=np.random.default_rng())
    seconds = perf_counter() - begin
    if verdict.outcome is not Outcome.INTACT:
        raise RuntimeError(verdict.reason)
    return 1000 * seconds / SAMPLES


def time_client(client: httpx2.Client, url: str, bodies: list[bytes]) -> float:
    """Milliseconds per request of the client alone."""
    headers = {"Content-Type": "application/json"}
    begin = perf_counter()
    for body in bodies:
        client.post(f"{url}/infer", content=body, headers=headers).raise_for_status()
    return 1000 * (perf_counter() - begin) / SAMPLES
