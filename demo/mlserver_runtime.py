"""The part of MLServer that runs a network: MLServer loads this module by its name."""

from pathlib import Path

import numpy as np
import torch
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse

import modelseal as ms


class NetworkRuntime(MLModel):
    """Serves the network of a model.toml, whose path is the model's `uri`.

    It takes what the model's settings declare: FP32 for values within the domain's bounds, UINT8
    for level numbers. It answers raw scores as FP32.
    """

    async def load(self) -> bool:
        """Builds the network, to be run on one thread."""
        torch.set_num_threads(1)
        model = ms.load_model(Path(self.settings.parameters.uri))
        self.network, self.domain = model.network, model.domain
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Runs the network on one request."""
        tensor, declared = payload.inputs[0], self.settings.inputs[0]
        if tensor.datatype != declared.datatype:
            raise InferenceError(f"expected {declared.datatype}, got {tensor.datatype}")
        scores = self.run(NumpyCodec.decode_input(tensor))
        output = NumpyCodec.encode_output(self.settings.outputs[0].name, scores)
        return InferenceResponse(model_name=self.name, id=payload.id, outputs=[output])

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """Gives the scores of inputs as they came: level numbers if they are bytes."""
        if inputs.shape[1:] != self.domain.shape:
            raise InferenceError(f"expected shape {self.domain.shape}, got {inputs.shape}")
        try:
            values = self.domain.decode(inputs) if inputs.dtype == np.uint8 else inputs
        except ms.InvalidArgumentError as error:
            raise InferenceError(str(error)) from error
        with torch.no_grad():
            scores: torch.Tensor = self.network(torch.from_numpy(values))
        return scores.numpy()
