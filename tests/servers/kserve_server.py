"""Serves a network with KServe: versions 1 and 2 of its protocol over HTTP, 2 over gRPC.

    python kserve_server.py FOLDER NAME HTTP_PORT GRPC_PORT

The folder holds `served_network.py` and `weights.safetensors`.
"""

import sys
from functools import partial

import numpy as np
import torch
import uvicorn
from grpc.aio import _server
from kserve import InferOutput, InferResponse, Model, ModelServer
from safetensors.torch import load_file


class Network(Model):
    """The network, which tells nothing of its inputs and outputs, as KServe's models often do."""

    def __init__(self, name, folder):
        super().__init__(name)
        sys.path.insert(0, folder)
        from served_network import build

        torch.set_num_threads(1)
        self.network = build().eval()
        self.network.load_state_dict(load_file(f"{folder}/weights.safetensors"))
        self.ready = True

    def predict(self, payload, headers=None, response_headers=None):
        if isinstance(payload, dict):
            scores = self.run(np.array(payload["instances"], np.float32))
            return {"predictions": scores.tolist()}
        scores = self.run(payload.inputs[0].as_numpy())
        # Numbers in a list travel as numbers over gRPC too, not as bytes.
        output = InferOutput(name="scores", shape=list(scores.shape), datatype="FP32")
        output.data = scores.ravel().tolist()
        return InferResponse(response_id=payload.id, model_name=self.name, infer_outputs=[output])

    def run(self, inputs):
        with torch.no_grad():
            return self.network(torch.from_numpy(np.array(inputs, np.float32))).numpy()


def listen_on_this_machine_only():
    """KServe has no option for that."""
    config, add = uvicorn.Config.__init__, _server.Server.add_insecure_port

    def init(self, *args, **options):
        config(self, *args, **{**options, "host": "127.0.0.1"})

    def add_here(self, address):
        return add(self, address.replace("[::]", "127.0.0.1"))

    uvicorn.Config.__init__ = init
    _server.Server.add_insecure_port = add_here


if __name__ == "__main__":
    folder, name, http_port, grpc_port = sys.argv[1:]
    # KServe reads the command line by itself.
    del sys.argv[1:]
    listen_on_this_machine_only()
    serve = partial(ModelServer, workers=1, enable_grpc=True, grace_period=2)
    serve(http_port=int(http_port), grpc_port=int(grpc_port)).start([Network(name, folder)])
