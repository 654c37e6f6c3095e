import sys
import threading

import grpc
import numpy as np
import pytest
from canned_grpc import canned_server, declaring, failing, official, replying

from modelseal.domain import Domain
from modelseal.endpoints.auth import Access
from modelseal.endpoints.endpoint import Endpoint
from modelseal.endpoints.oip.grpc_client import OipGrpcEndpoint
from modelseal.errors import EndpointError, InvalidArgumentError, MissingExtraError, PassingError
from modelseal.outputs.answers import Kind

DOMAIN = Domain(shape=(4,))
CODES = np.array([[0, 1, 128, 255]], np.uint8)
TENSOR = official.ModelMetadataResponse.TensorMetadata


@pytest.fixture
def server():
    with canned_server() as found:
        yield found


def ask(server, infer, *, metadata=None, codes=CODES, **options):
    address = server.serves(infer, declaring() if metadata is None else metadata)
    with OipGrpcEndpoint(address, DOMAIN, **options) as endpoint:
        return endpoint.ask(codes)


def test_it_is_an_endpoint():
    assert isinstance(OipGrpcEndpoint("grpc://host:1/m", DOMAIN), Endpoint)


def test_scores_are_asked_by_the_values_of_the_levels_and_come_as_they_are(server):
    shown = ask(server, replying(0.1, -2.5, 3.0))
    assert shown.kind is Kind.SCORES
    assert shown.values.tobytes() == np.array([[0.1, -2.5, 3.0]], np.float32).tobytes()
    (_, question), (_, request) = server.asked
    asked = official.ModelInferRequest.FromString(request)
    assert official.ModelMetadataRequest.FromString(question).name == asked.model_name == "m"
    (entry,) = asked.inputs
    assert (entry.name, entry.datatype, list(entry.shape)) == ("x", "FP32", [1, 4])
    values = np.frombuffer(asked.raw_input_contents[0], "<f4")
    assert np.array_equal(values, DOMAIN.decode(CODES)[0])


def test_the_user_says_what_the_numbers_are(server):
    assert ask(server, replying(0.5, 0.5), shows=Kind.PROBABILITIES).kind is Kind.PROBABILITIES
    with pytest.raises(InvalidArgumentError, match="scores or probabilities, but is labels"):
        OipGrpcEndpoint("grpc://host:1/m", DOMAIN, shows=Kind.LABELS)


def test_whole_numbers_are_labels(server):
    output = official.ModelInferResponse.InferOutputTensor(
        name="y",
        datatype="INT64",
        shape=[1],
        contents=official.InferTensorContents(int64_contents=[7]),
    )
    shown = ask(server, replying(outputs=[output]))
    assert (shown.kind, shown.labels.tolist()) == (Kind.LABELS, [[7]])


def test_every_request_has_a_name_of_its_own(server):
    with OipGrpcEndpoint(server.serves(replying(1.0)), DOMAIN) as endpoint:
        endpoint.ask(CODES)
        endpoint.ask(CODES)
    requests = [official.ModelInferRequest.FromString(body) for _, body in server.asked[1:]]
    assert len({request.id for request in requests} - {""}) == 2


def test_the_metadata_are_read_once(server):
    with OipGrpcEndpoint(server.serves(replying(1.0)), DOMAIN) as endpoint:
        endpoint.ask(CODES)
        endpoint.ask(CODES)
    assert [method for method, _ in server.asked] == ["ModelMetadata", "ModelInfer", "ModelInfer"]


def test_a_model_of_a_fixed_batch_is_asked_in_groups(server):
    one = declaring(inputs=[TENSOR(name="x", datatype="FP32", shape=[1, 4])])
    shown = ask(server, replying(1.0, 2.0), metadata=one, codes=np.repeat(CODES, 3, axis=0))
    assert shown.values.shape == (3, 2)
    assert len(server.asked) == 4


def test_a_model_that_declares_nothing_is_asked_as_kserves_often_are(server):
    ask(server, replying(1.0), metadata=declaring(inputs=[], outputs=[]))
    asked = official.ModelInferRequest.FromString(server.asked[1][1])
    assert (asked.inputs[0].name, asked.inputs[0].datatype) == ("input", "FP32")


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (declaring(name="other"), 'name: m was wanted, but "other" came'),
        (
            declaring(inputs=[TENSOR(name="x", datatype="FP32", shape=[-1, 5])]),
            r"takes shape \[-1, 4\] was wanted, but it takes \[-1, 5\]",
        ),
        (
            declaring(inputs=[TENSOR(name="x", datatype="BYTES", shape=[-1, 4])]),
            "takes FP32, FP64 or UINT8 was wanted, not BYTES",
        ),
        (
            declaring(inputs=[TENSOR(name=name, datatype="FP32") for name in "xy"]),
            "a model with one input was wanted, but it has 2",
        ),
        (b"\xff", "a ModelMetadataResponse was wanted, but 1 other bytes came"),
    ],
)
def test_a_model_of_other_inputs_is_refused_before_it_is_asked(server, metadata, message):
    with pytest.raises(EndpointError, match=rf"^grpc://127.0.0.1:\d+/m: .*{message}"):
        ask(server, replying(1.0), metadata=metadata)
    assert [method for method, _ in server.asked] == ["ModelMetadata"]


@pytest.mark.parametrize(
    ("infer", "message"),
    [
        (b"<html>", "a ModelInferResponse was wanted, but 6 other bytes came"),
        (replying(1.0, float("nan")), "finite numbers within float32 were wanted"),
        (replying(1.0, id="another"), r'id: \w{32} was wanted, but "another" came'),
        (replying(1.0, model_name="n"), 'model_name: m was wanted, but "n" came'),
        (replying(outputs=[]), "outputs: at least one was wanted, but none came"),
        (failing(grpc.StatusCode.NOT_FOUND, "no m"), "status NOT_FOUND came: no m"),
        (failing(grpc.StatusCode.UNAUTHENTICATED), "status UNAUTHENTICATED came"),
    ],
)
def test_a_fault_is_told_with_the_address_and_does_not_pass(server, infer, message):
    with pytest.raises(EndpointError, match=rf"^grpc://127.0.0.1:\d+/m: .*{message}") as caught:
        ask(server, infer)
    assert type(caught.value) is EndpointError


def test_bytes_that_hold_an_infinity_are_refused(server):
    output = official.ModelInferResponse.InferOutputTensor(name="y", datatype="FP32", shape=[1, 1])
    data = np.array([np.inf], "<f4").tobytes()
    with pytest.raises(EndpointError, match="finite"):
        ask(server, replying(outputs=[output], raw_output_contents=[data]))


def test_a_busy_server_is_a_fault_that_may_pass_and_is_asked_over_a_new_connection(server):
    address = server.serves(failing(grpc.StatusCode.UNAVAILABLE, "loading"))
    with OipGrpcEndpoint(address, DOMAIN) as endpoint:
        with pytest.raises(PassingError, match=rf"^{address}: .*UNAVAILABLE came: loading") as busy:
            endpoint.ask(CODES)
        assert (busy.value.wait, endpoint.connection) == (None, None)
        server.serves(replying(1.0))
        assert endpoint.ask(CODES).values == 1.0


def test_a_server_that_comes_back_is_found_at_once():
    with canned_server() as server:
        port = server.address.rpartition(":")[2]
        endpoint = OipGrpcEndpoint(server.serves(replying(1.0)), DOMAIN)
        endpoint.ask(CODES)
    for _ in range(3):
        with pytest.raises(PassingError, match="status UNAVAILABLE came"):
            endpoint.ask(CODES)
    with canned_server(port=int(port)) as server:
        server.serves(replying(2.0))
        assert endpoint.ask(CODES).values == 2.0
    endpoint.close()


def test_several_threads_may_ask_at_once(server):
    endpoint = OipGrpcEndpoint(server.serves(replying(1.0)), DOMAIN)
    shown = []
    threads = [
        threading.Thread(target=lambda: shown.append(endpoint.ask(CODES).values.item()))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    endpoint.close()
    assert shown == [1.0] * 8


def test_a_version_is_asked_for_if_the_address_names_one(server):
    address = server.serves(replying(1.0, model_version="3"))
    with OipGrpcEndpoint(f"{address}/3", DOMAIN) as endpoint:
        endpoint.ask(CODES)
    (_, question), (_, request) = server.asked
    assert official.ModelMetadataRequest.FromString(question).version == "3"
    assert official.ModelInferRequest.FromString(request).model_version == "3"


def test_an_answer_of_another_version_than_the_one_asked_for_is_none(server):
    address = server.serves(replying(1.0, model_version="2"))
    with (
        OipGrpcEndpoint(f"{address}/1", DOMAIN) as endpoint,
        pytest.raises(EndpointError, match='model_version: 1 was wanted, but "2" came'),
    ):
        endpoint.ask(CODES)


@pytest.mark.parametrize(
    ("declared", "answered", "known"),
    [([], "", ""), (["5"], "", "5"), (["5"], "6", "6"), (["5", "6"], "", "")],
)
def test_the_version_that_answered_is_known_afterwards(server, declared, answered, known):
    address = server.serves(replying(1.0, model_version=answered), declaring(versions=declared))
    with OipGrpcEndpoint(address, DOMAIN) as endpoint:
        endpoint.ask(CODES)
        assert endpoint.model_version == known


@pytest.mark.parametrize(
    ("address", "host", "secure", "name", "version"),
    [
        ("grpc://host:8001/m", "host:8001", False, "m", ""),
        ("grpcs://a.b-c.example:443/m/", "a.b-c.example:443", True, "m", ""),
        ("grpc://127.0.0.1:1/m/12", "127.0.0.1:1", False, "m", "12"),
        ("grpc://[::1]:8001/a%20b/v%2F1", "[::1]:8001", False, "a b", "v/1"),
    ],
)
def test_an_address_names_server_model_and_version(address, host, secure, name, version):
    endpoint = OipGrpcEndpoint(address, DOMAIN)
    assert (endpoint.host, endpoint.secure) == (host, secure)
    assert (endpoint.target.name, endpoint.target.version) == (name, version)
    assert endpoint.model_version == version


@pytest.mark.parametrize(
    "address",
    [
        "grpc://host:8001",
        "grpc://host/m",
        "grpc://host:0/m",
        "grpc://host:65536/m",
        "grpc://host:8001/m/1/2",
        "grpc://host:8001/m?x=1",
        "grpc://ho st:8001/m",
        "grpc://:8001/m",
        "http://host:8001/m",
        "grpc://unix:///tmp/s/m",
    ],
)
def test_another_address_is_refused_with_what_would_do(address):
    message = r"a gRPC address is grpc\(s\)://host:port/NAME or the same with /VERSION, but got"
    with pytest.raises(InvalidArgumentError, match=message):
        OipGrpcEndpoint(address, DOMAIN)


def test_a_password_in_an_address_is_refused_and_not_repeated():
    with pytest.raises(InvalidArgumentError, match="without user and password") as caught:
        OipGrpcEndpoint("grpc://me:secret@host:8001/m", DOMAIN)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan"), float("inf")])
def test_a_timeout_is_some_seconds(timeout):
    with pytest.raises(InvalidArgumentError, match="timeout needs positive seconds"):
        OipGrpcEndpoint("grpc://host:1/m", DOMAIN, timeout=timeout)


@pytest.mark.parametrize("codes", [CODES[:, :3], CODES.astype(np.float32)], ids=repr)
def test_codes_that_are_not_valid_are_refused_before_anything_is_sent(server, codes):
    with pytest.raises(InvalidArgumentError, match="inputs need shape"):
        ask(server, replying(1.0), codes=codes)
    assert server.asked == []


@pytest.mark.parametrize("package", ["grpc", "google.protobuf.descriptor_pool"])
def test_what_is_not_installed_is_said_before_the_first_question(package, monkeypatch):
    from modelseal.endpoints.oip.grpc_codec import messages

    messages.cache_clear()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"needs an extra: .*modelseal\[grpc\]"):
        OipGrpcEndpoint("grpc://host:1/m", DOMAIN)


def test_no_fault_tells_a_credential(server):
    access = Access(headers={"X-Token": "secret-word"}, secrets=frozenset({"secret-word"}))
    refuse = failing(grpc.StatusCode.PERMISSION_DENIED, "not with secret-word")
    with pytest.raises(EndpointError, match=r"PERMISSION_DENIED came: not with \*\*\*$") as caught:
        ask(server, refuse, access=access)
    assert caught.value.__cause__ is None
    assert "secret" not in repr(access)


def test_an_answer_that_holds_a_credential_is_an_answer_and_does_not_tell_it(server):
    access = Access(headers={"X-Token": "secret-word"}, secrets=frozenset({"secret-word"}))
    address = server.serves(replying(0.5, 2.0, model_version="of secret-word"))
    with OipGrpcEndpoint(address, DOMAIN, access=access) as endpoint:
        assert endpoint.ask(CODES).values.tolist() == [[0.5, 2.0]]
        assert endpoint.model_version == "of ***"
