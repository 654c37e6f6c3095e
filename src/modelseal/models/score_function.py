"""A model.toml as a function from inputs to scores: what an endpoint of it calls."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import torch

from modelseal.domain import Domain
from modelseal.errors import BadFileError, EndpointError
from modelseal.models.builder import ESCAPES, first_line
from modelseal.models.loader import load_model
from modelseal.runtime.devices import device_of
from modelseal.types import Inputs, Scores


def score_function(path: Path, domain: Domain) -> Callable[[Inputs], Scores]:
    """Builds the network of a model.toml and returns the function that runs it.

    Args:
        path: The model.toml.
        domain: What a valid input is, as sealed.

    Raises:
        BadFileError: The network cannot be built, or takes other inputs.
    """
    model = load_model(path)
    if model.domain != domain:
        raise BadFileError(path, f"expected {domain}, as sealed, got {model.domain}", field="input")
    device = device_of(model.network)

    def run(inputs: Inputs) -> Scores:
        try:
            with torch.no_grad():
                scores = model.network(torch.from_numpy(inputs).to(device)).cpu()
            # numpy lacks some of torch's types, such as bfloat16; float32 holds all but float64.
            wide = scores if scores.dtype == torch.float64 else scores.float()
            return cast(Scores, wide.numpy())
        except ESCAPES as error:
            raise EndpointError(f"the network failed: {first_line(error)}") from error

    return run
