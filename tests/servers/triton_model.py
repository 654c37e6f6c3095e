"""A network as Triton's Python backend runs it, which calls it `model.py`.

Triton's wheel needs an older numpy than torch's. So the network is written out in numpy, in
float64, whose rounding error is nothing beside that of one float32: its answers are those of any
other exact runtime. The weights are in `weights.npz` beside the file.
"""

from pathlib import Path

import numpy as np
import triton_python_backend_utils as triton
from numpy.lib.stride_tricks import sliding_window_view


class TritonPythonModel:
    def initialize(self, args):
        with np.load(Path(__file__).with_name("weights.npz")) as file:
            self.weights = {key: file[key].astype(np.float64) for key in file.files}

    def execute(self, requests):
        return [triton.InferenceResponse([self.answer(request)]) for request in requests]

    def answer(self, request):
        inputs = triton.get_input_tensor_by_name(request, "input").as_numpy()
        return triton.Tensor("scores", self.run(inputs.astype(np.float64)).astype(np.float32))

    def run(self, inputs):
        features = pooled(relu(self.convolved(inputs, "0")))
        features = relu(self.convolved(features, "3"))
        hidden = relu(self.linear(features.reshape(len(features), -1), "6"))
        return self.linear(hidden, "8")

    def convolved(self, inputs, layer):
        padded = np.pad(inputs, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = sliding_window_view(padded, (3, 3), axis=(2, 3))
        weight, bias = self.parameters(layer)
        return np.einsum("nchwij,ocij->nohw", windows, weight) + bias[:, None, None]

    def linear(self, inputs, layer):
        weight, bias = self.parameters(layer)
        return inputs @ weight.T + bias

    def parameters(self, layer):
        return self.weights[f"{layer}.weight"], self.weights[f"{layer}.bias"]


def relu(values):
    return np.maximum(values, 0)


def pooled(values):
    count, channels, height, width = values.shape
    return values.reshape(count, channels, height // 2, 2, width // 2, 2).max((3, 5))
