"""Serves a network with MLflow: `/invocations`, the contract of SageMaker's containers too.

    python mlflow_server.py FOLDER HTTP_PORT

The folder holds `served_network.py` and `weights.safetensors`; MLflow's own form of the model is
put beside them.
"""

import os
import sys
from pathlib import Path

import mlflow
import numpy as np
import torch
from safetensors.torch import load_file


class Network(mlflow.pyfunc.PythonModel):
    """The network of a folder."""

    def __init__(self, folder):
        self.folder = folder

    def load_context(self, context):
        sys.path.insert(0, self.folder)
        from served_network import build

        torch.set_num_threads(1)
        self.network = build().eval()
        self.network.load_state_dict(load_file(f"{self.folder}/weights.safetensors"))

    def predict(self, context, model_input, params=None):
        with torch.no_grad():
            return self.network(torch.from_numpy(np.array(model_input, np.float32))).numpy()


if __name__ == "__main__":
    folder, port = sys.argv[1:]
    model = Path(folder) / "mlflow"
    mlflow.pyfunc.save_model(model, python_model=Network(folder), pip_requirements=[])
    program = str(Path(sys.executable).with_name("mlflow"))
    here = ["--env-manager", "local", "-h", "127.0.0.1"]
    os.execv(program, [program, "models", "serve", "-m", str(model), *here, "-p", port])
