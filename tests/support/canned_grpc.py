"""A gRPC server with canned answers, for the faults that a real one does not show on demand.

Its messages are those of MLServer's own description of the protocol, so that what both sides
agree on is the protocol, and not our reading of it.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from mlserver.grpc import dataplane_pb2 as official


def declaring(*, name: str = "m", **changes: Any) -> Any:
    """The metadata of a model of four inputs and three scores, but for what is changed."""
    tensor = official.ModelMetadataResponse.TensorMetadata
    usual = {
        "inputs": [tensor(name="x", datatype="FP32", shape=[-1, 4])],
        "outputs": [tensor(name="y", datatype="FP32", shape=[-1, 3])],
    }
    return official.ModelMetadataResponse(name=name, **{**usual, **changes})


METADATA = declaring()


def replying(*scores: float, **changes: Any) -> Callable[[bytes, Any], bytes]:
    """An answer of one row of scores that fits its request, but for what is changed."""

    def answer(request: bytes, context: Any) -> bytes:
        asked = official.ModelInferRequest.FromString(request)
        said = response(*scores, **{"id": asked.id, **changes})
        return said.SerializeToString()

    return answer


def response(*scores: float, **changes: Any) -> Any:
    tensor = official.ModelInferResponse.InferOutputTensor(
        name="y",
        datatype="FP32",
        shape=[1, len(scores)],
        contents=official.InferTensorContents(fp32_contents=scores),
    )
    return official.ModelInferResponse(**{"model_name": "m", "outputs": [tensor], **changes})


def failing(code: grpc.StatusCode, details: str = "") -> Callable[[bytes, Any], bytes]:
    return lambda request, context: context.abort(code, details)


class CannedServer(grpc.GenericRpcHandler):
    """Answers the two methods of the protocol as it is told."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes | Callable[[bytes, Any], bytes]] = {}
        self.asked: list[tuple[str, bytes]] = []
        self.address = ""

    def serves(self, infer: bytes | Callable[[bytes, Any], bytes], metadata: Any = METADATA) -> str:
        """Says what the two methods answer, and gives the model's address."""
        told = metadata.SerializeToString() if hasattr(metadata, "inputs") else metadata
        self.answers = {"ModelMetadata": told, "ModelInfer": infer}
        return f"grpc://{self.address}/m"

    def service(self, details: Any) -> Any:
        method = details.method.rpartition("/")[2]
        if details.method != f"/inference.GRPCInferenceService/{method}":
            return None
        return grpc.unary_unary_rpc_method_handler(lambda *call: self.answer(method, *call))

    def answer(self, method: str, request: bytes, context: Any) -> bytes:
        self.asked.append((method, request))
        canned = self.answers[method]
        return canned(request, context) if callable(canned) else canned


@contextmanager
def canned_server(
    credentials: Any = None, *, compression: Any = None, port: int = 0
) -> Iterator[CannedServer]:
    """Runs a server on this machine; on any free port, if none is given."""
    handler = CannedServer()
    with ThreadPoolExecutor(4) as pool:
        options = [("grpc.max_send_message_length", -1)]
        server = grpc.server(pool, handlers=[handler], options=options, compression=compression)
        if credentials is None:
            port = server.add_insecure_port(f"127.0.0.1:{port}")
        else:
            port = server.add_secure_port(f"127.0.0.1:{port}", credentials)
        handler.address = f"localhost:{port}" if credentials else f"127.0.0.1:{port}"
        server.start()
        yield handler
        server.stop(None).wait()
