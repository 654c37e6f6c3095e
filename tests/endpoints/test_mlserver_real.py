"""Against a real MLServer in a process of its own: as Open Inference Protocol and by a template."""

from contextlib import ExitStack

import numpy as np
import pytest
import sealed
import torch
from safetensors.torch import save_file
from server import serve

from modelseal.domain import Domain
from modelseal.endpoints import factory
from modelseal.endpoints.oip.rest import OipEndpoint
from modelseal.enums import Depth
from modelseal.models.loader import load_model
from modelseal.outputs.answers import Kind
from modelseal.outputs.specs import RawScores
from modelseal.verdict import Outcome
from modelseal.verification.verify import verify

pytestmark = pytest.mark.real

DOMAIN = Domain(shape=(3, 8, 8))
CODES = np.random.default_rng(0).integers(0, 256, (4, *DOMAIN.shape), dtype=np.uint8)
SPEC = RawScores(1e-4)

NETWORK = """
from torch import nn


def build():
    layers = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)
    return nn.Sequential(*layers)
"""

MODEL = """
[model]
factory = "network_behind_a_template:build"
weights = "{weights}.safetensors"
[input]
shape = [3, 8, 8]
mean = [0.5, 0.4, 0.3]
std = [0.2, 0.3, 0.4]
"""

ENDPOINT = """
[endpoint]
kind = "http"
url = "{url}/infer"

[request]
form = "{form}"
template = '''
{{"inputs": [{{"name": "input", "shape": [1, 3, 8, 8], "datatype": "FP32", "data": "$input"}}]}}
'''

[answer]
select = "outputs[0].data"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The network as its owner has it, and a copy whose last weights are one percent larger."""
    place = tmp_path_factory.mktemp("mlserver")
    (place / "network_behind_a_template.py").write_text(NETWORK, encoding="utf-8")
    source = torch.Generator().manual_seed(0)
    shapes = {"0.weight": (4, 3, 3, 3), "0.bias": (4,), "3.weight": (3, 144), "3.bias": (3,)}
    weights = {key: torch.randn(shape, generator=source) for key, shape in shapes.items()}
    for name, factor in (("intact", 1.0), ("tampered", 1.01)):
        changed = weights | {"3.weight": weights["3.weight"] * factor}
        save_file(changed, place / f"{name}.safetensors")
        (place / f"{name}.toml").write_text(MODEL.format(weights=name), encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def urls(folder):
    """Both networks as FP32, and the intact one as bytes, served."""
    with ExitStack() as stack:
        yield {
            (name, datatype): stack.enter_context(
                serve(
                    folder / f"{name}.toml",
                    folder=folder / f"served_{name}_{datatype}",
                    name="tiny",
                    datatype=datatype,
                )
            )
            for name, datatype in (("intact", "FP32"), ("intact", "UINT8"), ("tampered", "FP32"))
        }


@pytest.fixture(scope="module")
def scores(folder):
    """Of the intact network in this process, each input alone and all together."""
    network = load_model(folder / "intact.toml").network
    inputs = torch.from_numpy(DOMAIN.decode(CODES))
    with torch.no_grad():
        alone = [network(inputs[[row]]).numpy() for row in range(len(CODES))]
        return np.concatenate(alone), network(inputs).numpy()


@pytest.fixture(scope="module")
def fingerprint(scores):
    return sealed.fingerprint(
        domain=DOMAIN, classes=3, count=4, spec=SPEC, samples=CODES, expected=SPEC.reveal(scores[1])
    )


@pytest.mark.parametrize("datatype", ["FP32", "UINT8"])
def test_inputs_get_the_scores_of_this_process_bit_for_bit(urls, scores, datatype):
    alone, together = scores
    endpoint = OipEndpoint(urls["intact", datatype], DOMAIN)
    shown = endpoint.ask(CODES)
    assert (shown.kind, shown.values.dtype) == (Kind.SCORES, np.float32)
    assert shown.values.tobytes() == together.tobytes()
    for row, wanted in enumerate(alone):
        assert endpoint.ask(CODES[[row]]).values.tobytes() == wanted.tobytes()
    inputs = endpoint.contract.inputs
    assert (inputs.name, inputs.datatype, inputs.batch) == ("input", datatype, 0)
    assert (endpoint.contract.output, endpoint.contract.binary) == ("scores", False)


@pytest.mark.parametrize("form", ["flat", "nested"])
@pytest.mark.parametrize(
    ("name", "outcome"), [("intact", Outcome.INTACT), ("tampered", Outcome.TAMPERED)]
)
def test_a_server_asked_by_a_template_is_judged_by_the_network_that_it_serves(
    folder, urls, fingerprint, form, name, outcome
):
    path = folder / "endpoint.toml"
    path.write_text(ENDPOINT.format(url=urls[name, "FP32"], form=form), encoding="utf-8")
    with factory.endpoint(path, fingerprint) as endpoint:
        source = np.random.default_rng(0)
        verdict = verify(fingerprint, endpoint, generator=source, depth=Depth.ALL)
    assert verdict.outcome is outcome
