"""Every preset against a server of its form, with the sealed or a changed network behind it."""

import copy

import numpy as np
import pytest
import sealed
import torch
from forms import SERVERS, serving

from modelseal.domain import Domain
from modelseal.endpoints import factory
from modelseal.endpoints.endpoint_toml import PRESETS
from modelseal.enums import Depth
from modelseal.errors import EndpointError
from modelseal.outputs.specs import RawScores
from modelseal.verdict import Outcome
from modelseal.verification.verify import verify

DOMAIN = Domain(shape=(3, 8, 8))
SERVED = sealed.fingerprint(domain=DOMAIN, classes=3)
SPEC = RawScores(1e-4)


@pytest.fixture
def fingerprint(tiny):
    """Samples whose expected answers are those of the network."""
    codes = sealed.fields(domain=DOMAIN, classes=3, spec=SPEC)["samples"]
    scores = tiny(torch.from_numpy(DOMAIN.decode(codes))).numpy()
    return sealed.fingerprint(
        domain=DOMAIN, classes=3, spec=SPEC, samples=codes, expected=SPEC.reveal(scores)
    )


@pytest.fixture
def tampered(tiny):
    changed = copy.deepcopy(tiny)
    changed[-1].weight[0, 0] += 0.01
    return changed


@pytest.fixture
def endpoint_of(canned, reply, tmp_path):
    """Starts a server of a form, and gives the endpoint that a file with its preset declares."""

    def build(preset, network):
        server = SERVERS[preset]
        canned.routes[("POST", server.path)] = serving(server, network, reply)
        path = tmp_path / "endpoint.toml"
        address = f'url = "{canned.root}{server.path}"'
        path.write_text(f'[endpoint]\nkind = "http"\npreset = "{preset}"\n{address}\n')
        return factory.endpoint(path, SERVED)

    return build


def outcome(fingerprint, endpoint):
    source = np.random.default_rng(0)
    return verify(fingerprint, endpoint, generator=source, depth=Depth.ALL).outcome


def test_there_is_a_server_for_every_preset():
    assert set(SERVERS) == set(PRESETS)


@pytest.mark.parametrize("preset", SERVERS)
def test_the_sealed_network_is_intact_and_a_changed_one_tampered(
    preset, endpoint_of, fingerprint, tiny, tampered
):
    assert outcome(fingerprint, endpoint_of(preset, tiny)) is Outcome.INTACT
    assert outcome(fingerprint, endpoint_of(preset, tampered)) is Outcome.TAMPERED


@pytest.mark.parametrize("path", ["/invocations", "/v1/models/tiny:predict"])
def test_an_address_says_by_its_ending_how_it_is_asked(
    path, canned, reply, fingerprint, tiny, tampered
):
    (server,) = {one.key: one for one in SERVERS.values() if one.path == path}.values()
    for network, wanted in ((tiny, Outcome.INTACT), (tampered, Outcome.TAMPERED)):
        canned.routes[("POST", path)] = serving(server, network, reply)
        assert outcome(fingerprint, factory.endpoint(canned.root + path, SERVED)) is wanted


def test_a_request_of_another_form_gets_no_answer(endpoint_of, fingerprint, tiny):
    endpoint = endpoint_of("mlflow", tiny)
    endpoint.template = endpoint_of("kserve-v1", tiny).template
    with pytest.raises(EndpointError, match="status 400: bad request"):
        endpoint.ask(fingerprint.samples)
