"""Against a real MLServer, which runs in a process of its own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from serving import serve

from modelseal.domain import Domain
from modelseal.endpoints.oip.rest import OipEndpoint
from modelseal.errors import EndpointError
from modelseal.models.loader import Model, load_model
from modelseal.outputs.answers import Kind

pytestmark = pytest.mark.real

CODES = np.random.default_rng(0).integers(0, 256, (5, 3, 32, 32), dtype=np.uint8)

NETWORK = """
from torch import nn


def build():
    layers = nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 15 * 15, 10)
    return nn.Sequential(*layers)
"""

MODEL = """
[model]
factory = "served_network:build"
weights = "weights.safetensors"
[input]
shape = [3, 32, 32]
mean = [0.5, 0.4, 0.3]
std = [0.2, 0.3, 0.4]
"""


@pytest.fixture(scope="session")
def model_toml(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    (folder / "served_network.py").write_text(NETWORK, encoding="utf-8")
    shapes = {"0.weight": (8, 3, 3, 3), "0.bias": (8,), "3.weight": (10, 1800), "3.bias": (10,)}
    random = torch.Generator().manual_seed(0)
    weights = {key: torch.randn(shape, generator=random) for key, shape in shapes.items()}
    save_file(weights, folder / "weights.safetensors")
    (folder / "model.toml").write_text(MODEL, encoding="utf-8")
    return folder / "model.toml"


@pytest.fixture(scope="session")
def model(model_toml) -> Model:
    return load_model(model_toml)


@pytest.fixture(scope="session", params=["FP32", "UINT8"])
def url(request, model_toml, tmp_path_factory):
    folder = tmp_path_factory.mktemp(f"served_{request.param}")
    with serve(model_toml, folder=folder, name="tiny", datatype=request.param) as address:
        yield address


@pytest.fixture
def in_process(model):
    """The network's scores in this process."""

    def run(codes):
        return model.network(torch.from_numpy(model.domain.decode(codes))).numpy()

    return run


def test_alone_every_input_gets_the_scores_of_this_process_bit_for_bit(url, model, in_process):
    endpoint = OipEndpoint(url, model.domain)
    for row in range(len(CODES)):
        shown = endpoint.ask(CODES[row : row + 1])
        assert shown.kind is Kind.SCORES
        assert shown.values.dtype == np.float32
        assert shown.values.tobytes() == in_process(CODES[row : row + 1]).tobytes()


def test_a_batch_gets_the_scores_of_this_process_bit_for_bit_in_its_order(url, model, in_process):
    shown = OipEndpoint(url, model.domain).ask(CODES)
    assert shown.values.tobytes() == in_process(CODES).tobytes()


def test_the_servers_metadata_say_how_the_model_is_asked(url, model):
    endpoint = OipEndpoint(url, model.domain)
    endpoint.ask(CODES[:1])
    form = endpoint.contract.inputs
    assert (form.name, form.batch, form.channels_last) == ("input", 0, False)
    assert form.datatype in {"FP32", "UINT8"}
    assert (endpoint.contract.output, endpoint.contract.binary) == ("scores", False)


def test_a_domain_of_another_shape_is_refused_before_it_is_asked(url):
    endpoint = OipEndpoint(url, Domain(shape=(1, 28, 28)))
    with pytest.raises(EndpointError, match=r"got \[-1, 3, 32, 32\]"):
        endpoint.ask(np.zeros((1, 1, 28, 28), np.uint8))


def test_an_unknown_model_is_said_in_the_servers_own_words(url, model):
    with pytest.raises(EndpointError, match="status 404: Model nobody not found"):
        OipEndpoint(url.replace("tiny", "nobody"), model.domain).ask(CODES[:1])


def test_a_request_that_the_server_refuses_is_said_in_its_own_words(url, model):
    endpoint = OipEndpoint(url, model.domain)
    endpoint.ask(CODES[:1])
    endpoint.domain = Domain(shape=(3, 8, 8))
    with pytest.raises(EndpointError, match="status 400"):
        endpoint.ask(CODES[:1, :, :8, :8])
