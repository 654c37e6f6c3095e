"""Networks whose rounding is known."""

import pytest
import torch
from torch import Tensor, nn


class Watched(nn.Module):
    """Adds up its inputs in three ways, and shows what it was given and how it was run."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(3))
        self.batches: list[Tensor] = []
        self.modes: list[bool] = []
        self.threads: list[int] = []
        self.one_dnn: list[bool] = []
        self.nnpack: list[bool] = []

    def forward(self, inputs):
        self.batches.append(inputs.clone())
        self.modes.append(self.training)
        self.threads.append(torch.get_num_threads())
        self.one_dnn.append(torch.backends.mkldnn.enabled)
        self.nnpack.append(torch._C._get_nnpack_enabled())
        return inputs.flatten(1)[:, :3] @ self.weight


@pytest.fixture
def watched():
    return Watched()


@pytest.fixture
def rows():
    """Ten inputs of three numbers, each known by its first."""
    numbers = torch.arange(30.0).reshape(10, 3)
    numbers[:, 1:] /= 100
    return numbers
