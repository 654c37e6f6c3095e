"""A template and a mapping against a real MLServer, whose protocol is JSON over plain HTTP too."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import sealed
import torch
from safetensors.torch import load_file, save_file
from serving import serve

from modelseal.domain import Domain
from modelseal.endpoints import factory
from modelseal.enums import Depth
from modelseal.errors import EndpointError
from modelseal.models.loader import load_model
from modelseal.outputs.specs import RawScores
from modelseal.verdict import Outcome
from modelseal.verification.verify import verify

pytestmark = pytest.mark.real

DOMAIN = Domain(shape=(3, 8, 8))
SERVED = sealed.fingerprint(domain=DOMAIN, classes=3)
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
def folder(tmp_path_factory) -> Path:
    """The network as its owner has it, and a copy whose last weights are one percent larger."""
    place = tmp_path_factory.mktemp("template")
    (place / "network_behind_a_template.py").write_text(NETWORK, encoding="utf-8")
    source = torch.Generator().manual_seed(0)
    shapes = {"0.weight": (4, 3, 3, 3), "0.bias": (4,), "3.weight": (3, 144), "3.bias": (3,)}
    weights = {key: torch.randn(shape, generator=source) for key, shape in shapes.items()}
    save_file(weights, place / "intact.safetensors")
    changed = load_file(place / "intact.safetensors")
    changed["3.weight"] *= 1.01
    save_file(changed, place / "tampered.safetensors")
    for name in ("intact", "tampered"):
        (place / f"{name}.toml").write_text(MODEL.format(weights=name), encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def urls(folder):
    """Both networks, served."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                serve(folder / f"{name}.toml", folder=folder / f"served_{name}", name="tiny")
            )
            for name in ("intact", "tampered")
        }


@pytest.fixture(scope="module")
def fingerprint(folder):
    """Samples whose expected answers are those of the intact network in this process."""
    codes = np.random.default_rng(0).integers(0, 256, (4, *DOMAIN.shape), dtype=np.uint8)
    network = load_model(folder / "intact.toml").network
    scores = network(torch.from_numpy(DOMAIN.decode(codes))).detach().numpy()
    return sealed.fingerprint(
        domain=DOMAIN,
        classes=3,
        count=4,
        spec=SPEC,
        samples=codes,
        expected=SPEC.reveal(scores),
    )


def declared(folder, url, *, form):
    path = folder / "endpoint.toml"
    path.write_text(ENDPOINT.format(url=url, form=form), encoding="utf-8")
    return factory.endpoint(path, SERVED)


@pytest.mark.parametrize("form", ["flat", "nested"])
@pytest.mark.parametrize(
    ("name", "outcome"), [("intact", Outcome.INTACT), ("tampered", Outcome.TAMPERED)]
)
def test_a_real_server_is_judged_by_the_network_that_it_serves(
    folder, urls, fingerprint, form, name, outcome
):
    endpoint = declared(folder, urls[name], form=form)
    source = np.random.default_rng(0)
    verdict = verify(fingerprint, endpoint, generator=source, depth=Depth.ALL)
    assert verdict.outcome is outcome
    endpoint.close()


def test_what_a_real_server_refuses_is_no_answer(folder, urls, fingerprint):
    endpoint = declared(folder, urls["intact"].replace("tiny", "nobody"), form="flat")
    with pytest.raises(EndpointError, match="status 404"):
        endpoint.ask(fingerprint.samples)
