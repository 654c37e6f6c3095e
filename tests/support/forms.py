"""Hand-made servers that take and give exactly what the real ones do, with a network behind them.

What each takes and gives was seen of the real servers. A request of another form gets the status
that the real one gives.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

Body = Any
Scores = list[list[float]]


@dataclass(frozen=True, kw_only=True)
class Server:
    """One form of server."""

    path: str
    key: str
    answer: Callable[[Scores], Body]
    malformed: int = 400


SERVERS: Mapping[str, Server] = {
    "mlflow": Server(path="/invocations", key="inputs", answer=lambda rows: {"predictions": rows}),
    "sagemaker-container": Server(
        path="/invocations", key="inputs", answer=lambda rows: {"predictions": rows}
    ),
    "kserve-v1": Server(
        path="/v1/models/tiny:predict", key="instances", answer=lambda rows: {"predictions": rows}
    ),
    "tf-serving": Server(
        path="/v1/models/tiny:predict", key="instances", answer=lambda rows: {"predictions": rows}
    ),
    "vertex": Server(
        path="/v1/projects/p/locations/l/endpoints/1:predict",
        key="instances",
        answer=lambda rows: {"predictions": rows, "deployedModelId": "1", "model": "m"},
    ),
    "torchserve": Server(path="/predictions/tiny", key="", answer=lambda rows: rows, malformed=503),
    "bentoml": Server(path="/predict", key="input", answer=lambda rows: rows),
    "litserve": Server(path="/predict", key="input", answer=lambda rows: {"logits": rows}),
    "ray-serve": Server(
        path="/tiny", key="instances", answer=lambda rows: {"predictions": rows}, malformed=500
    ),
}
"""By preset."""


def serving(
    server: Server, network: nn.Module, reply: Callable[..., bytes]
) -> Callable[[Mapping[str, str], bytes], bytes]:
    """Answers requests of a server's form with a network's scores."""

    def answer(headers: Mapping[str, str], body: bytes) -> bytes:
        content = json.loads(body)
        if server.key and (not isinstance(content, dict) or set(content) != {server.key}):
            return reply({"message": "bad request"}, status=server.malformed)
        if headers["Content-Type"] != "application/json":
            return reply({"message": "bad type"}, status=415)
        rows = content[server.key] if server.key else content
        return reply(server.answer(run(network, rows)))

    return answer


def run(network: nn.Module, rows: object) -> Scores:
    """The scores of inputs that came as lists; each float32 as the double that equals it."""
    with torch.no_grad():
        scores = network(torch.from_numpy(np.array(rows, np.float32)))
    result: Scores = scores.double().tolist()
    return result
