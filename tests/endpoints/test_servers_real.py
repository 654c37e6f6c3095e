"""One network behind every server that the tests can start, intact and slightly changed."""

from dataclasses import replace

import deployed
import httpx2
import numpy as np
import pytest
import sealed
import torch
from mlserver.grpc import dataplane_pb2 as official

import servers
from modelseal.endpoints import factory
from modelseal.endpoints.oip.contract import Target
from modelseal.endpoints.oip.grpc import Channel, OipGrpcEndpoint, encode_request
from modelseal.endpoints.oip.rest import OipEndpoint
from modelseal.enums import Depth
from modelseal.models.loader import load_model
from modelseal.sealing.pipeline import seal
from modelseal.verdict import Outcome
from modelseal.verification.verify import verify

pytestmark = pytest.mark.real


def over_http(served, domain, *, version=""):
    pinned = f"/versions/{version}" if version else ""
    return OipEndpoint(f"{served.http}/v2/models/{servers.NAME}{pinned}", domain)


def over_json(served, domain):
    """As if the server did not tell that it takes bytes."""
    endpoint = over_http(served, domain)
    contract = endpoint._learn()
    assert contract.binary
    endpoint.contract = replace(contract, binary=False)
    return endpoint


def over_grpc(served, domain, *, version=""):
    pinned = f"/{version}" if version else ""
    return OipGrpcEndpoint(f"grpc://{served.grpc}/{servers.NAME}{pinned}", domain)


def over_predict(served, domain):
    return short(f"{served.http}/v1/models/{servers.NAME}:predict", domain)


def over_invocations(served, domain):
    return short(f"{served.http}/invocations", domain)


def over_template(served, domain):
    """By a template of the user's own, one input at a time."""
    path = served.folder / "endpoint.toml"
    shape = [1, *domain.shape]
    path.write_text(
        f'''
        endpoint = {{kind = "http", url = "{served.http}/v2/models/{servers.NAME}/infer"}}
        answer = {{select = "outputs[0].data"}}
        [request]
        form = "flat"
        template = """
        {{"inputs": [{{"name": "input", "shape": {shape}, "datatype": "FP32", "data": "$input"}}]}}
        """
        '''
    )
    return short(path, domain)


def short(address, domain):
    """What the address alone says of the endpoint."""
    return factory.endpoint(address, sealed.fingerprint(domain=domain, classes=10))


ROWS = [
    *(
        (servers.mlserver, over_http),
        (servers.mlserver, over_grpc),
        (servers.mlserver, over_template),
    ),
    *((servers.kserve, over_predict), (servers.kserve, over_http)),
    *((servers.kserve, over_grpc), (servers.triton, over_json), (servers.triton, over_http)),
    *((servers.triton, over_grpc), (servers.mlflow, over_invocations)),
]
"""Every server with every way to ask it."""

DEPLOYED = {False: Outcome.INTACT, True: Outcome.TAMPERED}
"""What is said of a deployment by whether it is tampered with."""


def name(row):
    server, way = row
    return f"{server.__name__}-{way.__name__}"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(deployed.write_deployment(tmp_path_factory.mktemp("owner") / "model"))


@pytest.fixture(scope="module")
def fingerprint(model):
    """Eight samples; ten classes cannot be tied by so few pixels of whole levels."""
    return seal(model, deployed.scans(24), tie=4, candidates=24, power="none")


@pytest.fixture(scope="module")
def served(request, tmp_path_factory):
    """A server of the network; tests that ask for the same one share it, if they say `module`."""
    start, tampered = request.param
    with start(tmp_path_factory.mktemp(start.__name__), tampered=tampered) as found:
        yield found


def outcome_of(fingerprint, endpoint):
    verdict = verify(fingerprint, endpoint, generator=np.random.default_rng(0), depth=Depth.ALL)
    # Nothing is unclear: both outcomes come of eight answers.
    assert len(verdict.evidence) == 8
    assert not any(entry.reason for entry in verdict.evidence), verdict.reason
    return verdict.outcome


@pytest.mark.parametrize(
    ("served", "way", "outcome"),
    [
        pytest.param((server, tampered), way, outcome, id=f"{name((server, way))}-{outcome.value}")
        for tampered, outcome in DEPLOYED.items()
        for server, way in ROWS
    ],
    indirect=["served"],
    scope="module",
)
def test_every_server_is_intact_with_the_sealed_weights_and_tampered_with_others(
    served, way, outcome, fingerprint
):
    assert outcome_of(fingerprint, way(served, fingerprint.domain)) is outcome


@pytest.mark.parametrize(
    ("served", "way"),
    [pytest.param((server, False), way, id=name((server, way))) for server, way in ROWS],
    indirect=["served"],
    scope="module",
)
def test_a_server_answers_a_batch_in_its_order_with_the_scores_of_this_process(served, way, model):
    codes = deployed.scans(5)
    shown = way(served, model.domain).ask(codes).values
    expected = model.network(torch.from_numpy(model.domain.decode(codes))).numpy()
    assert shown.dtype.kind == "f"
    # Triton's network is written in numpy; all others run the same code as this process.
    np.testing.assert_allclose(shown, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("served", "raw"),
    [
        pytest.param((servers.mlserver, False), True, id="mlserver"),
        pytest.param((servers.kserve, False), False, id="kserve"),
        pytest.param((servers.triton, False), True, id="triton"),
    ],
    indirect=["served"],
    scope="module",
)
def test_the_servers_between_them_answer_over_grpc_in_both_forms(served, raw, model):
    inputs = model.domain.decode(deployed.scans(1))
    target = Target(name=servers.NAME)
    request = encode_request(inputs, target=target, name="input", datatype="FP32", request="r")
    reply = Channel(served.grpc, secure=False, seconds=30.0).call("ModelInfer", request)
    said = official.ModelInferResponse.FromString(reply)
    assert (bool(said.raw_output_contents), said.id) == (raw, "r")
    assert len(said.outputs[0].contents.fp32_contents) == (0 if raw else 10)


@pytest.mark.parametrize("way", [over_http, over_grpc], ids=lambda way: way.__name__)
def test_a_model_that_is_swapped_under_its_name_is_noticed_unless_the_version_is_pinned(
    way, fingerprint, tmp_path
):
    with servers.triton(tmp_path, tampered=False) as served:
        endpoint = way(served, fingerprint.domain)
        assert outcome_of(fingerprint, endpoint) is Outcome.INTACT
        assert endpoint.model_version == "1"
        servers.put_version(tmp_path, 2, tampered=True)
        load = f"{served.http}/v2/repository/models/{servers.NAME}/load"
        httpx2.post(load, timeout=30).raise_for_status()
        assert outcome_of(fingerprint, endpoint) is Outcome.TAMPERED
        assert endpoint.model_version == "2"
        for version, outcome in (("1", Outcome.INTACT), ("2", Outcome.TAMPERED)):
            pinned = way(served, fingerprint.domain, version=version)
            assert outcome_of(fingerprint, pinned) is outcome
            assert pinned.model_version == version
