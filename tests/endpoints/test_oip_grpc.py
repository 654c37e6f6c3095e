import subprocess
import sys
import time
from contextlib import closing

import grpc
import numpy as np
import pytest
from canned_grpc import METADATA, canned_server, declaring, failing, official, replying, response
from certificates import write_certificate
from google.protobuf import descriptor_pb2
from hypothesis import given
from hypothesis import strategies as st
from refusals import refuses
from server import free_ports

from modelseal.domain import Domain
from modelseal.endpoints.auth import NO_CREDENTIALS, Credentials
from modelseal.endpoints.oip import grpc as oip_grpc
from modelseal.endpoints.oip.contract import DTYPES, Target
from modelseal.endpoints.oip.grpc import (
    PASSING,
    SERVICE,
    Channel,
    OipGrpcEndpoint,
    call_error,
    decode_metadata,
    decode_response,
    encode_metadata_request,
    encode_request,
    read_certificates,
)
from modelseal.errors import EndpointError, InvalidArgumentError, MissingExtraError, PassingError
from modelseal.outputs.answers import Kind

DOMAIN = Domain(shape=(4,))
CODES = np.array([[0, 1, 128, 255]], np.uint8)
INPUT = official.ModelMetadataResponse.TensorMetadata
OUTPUT = official.ModelInferResponse.InferOutputTensor
TOKEN = Credentials(headers={"X-Token": "secret-word"}, secrets=frozenset({"secret-word"}))


@pytest.fixture
def server():
    with canned_server() as found:
        yield found


def ask(server, infer, *, metadata=None, codes=CODES, **options):
    address = server.serves(infer, declaring() if metadata is None else metadata)
    with OipGrpcEndpoint(address, DOMAIN, **options) as endpoint:
        return endpoint.ask(codes)


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


@pytest.mark.parametrize(
    "metadata",
    [
        declaring(name="other"),
        declaring(inputs=[INPUT(name="x", datatype="FP32", shape=[-1, 5])]),
        declaring(inputs=[INPUT(name="x", datatype="BYTES", shape=[-1, 4])]),
        declaring(inputs=[INPUT(name=name, datatype="FP32") for name in "xy"]),
        b"\xff",
    ],
    ids=["name", "shape", "type", "two", "bytes"],
)
def test_a_model_of_other_inputs_is_refused_before_it_is_asked(server, metadata):
    with pytest.raises(EndpointError, match=r"^grpc://127.0.0.1:\d+/m: "):
        ask(server, replying(1.0), metadata=metadata)
    assert [method for method, _ in server.asked] == ["ModelMetadata"]


@pytest.mark.parametrize(
    ("infer", "message"),
    [
        *((b"<html>", "got 6 other bytes"), (replying(1.0, float("nan")), "finite")),
        (replying(1.0, id="another"), 'got "another"'),
        *((replying(1.0, model_name="n"), 'got "n"'), (replying(outputs=[]), "got none")),
        (failing(grpc.StatusCode.NOT_FOUND, "no m"), "status NOT_FOUND: no m"),
        (failing(grpc.StatusCode.UNAUTHENTICATED), "status UNAUTHENTICATED"),
    ],
)
def test_a_fault_is_told_with_the_address_and_does_not_pass(server, infer, message):
    with pytest.raises(EndpointError, match=rf"^grpc://127.0.0.1:\d+/m: .*{message}") as caught:
        ask(server, infer)
    assert type(caught.value) is EndpointError


def test_a_busy_server_is_a_fault_that_may_pass_and_is_asked_over_a_new_connection(server):
    address = server.serves(failing(grpc.StatusCode.UNAVAILABLE, "loading"))
    with OipGrpcEndpoint(address, DOMAIN) as endpoint:
        with pytest.raises(PassingError, match=rf"^{address}: .*UNAVAILABLE: loading") as busy:
            endpoint.ask(CODES)
        assert busy.value.wait is None
        server.serves(replying(1.0))
        assert endpoint.ask(CODES).values == 1.0


def test_a_server_that_comes_back_is_found_at_once():
    with canned_server() as server:
        port = server.address.rpartition(":")[2]
        endpoint = OipGrpcEndpoint(server.serves(replying(1.0)), DOMAIN)
        endpoint.ask(CODES)
    for _ in range(3):
        with pytest.raises(PassingError, match="UNAVAILABLE"):
            endpoint.ask(CODES)
    with canned_server(port=int(port)) as server:
        server.serves(replying(2.0))
        assert endpoint.ask(CODES).values == 2.0
    endpoint.close()


def test_a_version_is_asked_for_if_the_address_names_one_and_no_other_answers(server):
    address = server.serves(replying(1.0, model_version="3"))
    with OipGrpcEndpoint(f"{address}/3", DOMAIN) as endpoint:
        endpoint.ask(CODES)
    (_, question), (_, request) = server.asked
    assert official.ModelMetadataRequest.FromString(question).version == "3"
    assert official.ModelInferRequest.FromString(request).model_version == "3"
    with (
        OipGrpcEndpoint(f"{address}/1", DOMAIN) as endpoint,
        pytest.raises(EndpointError, match=r'model_version: .*got "3"'),
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
        *("grpc://host:8001", "grpc://host/m", "grpc://host:0/m", "grpc://host:65536/m"),
        *("grpc://host:8001/m/1/2", "grpc://host:8001/m?x=1", "grpc://ho st:8001/m"),
        *("grpc://:8001/m", "http://host:8001/m", "grpc://unix:///tmp/s/m"),
        "grpc://me:secret@host:8001/m",
    ],
)
def test_another_address_is_refused_and_no_password_repeated(address):
    with refuses(InvalidArgumentError, field="url") as caught:
        OipGrpcEndpoint(address, DOMAIN)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("package", ["grpc", "google.protobuf.descriptor_pool"])
def test_what_is_not_installed_is_said_before_the_first_question(package, monkeypatch):
    oip_grpc._message_classes.cache_clear()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"modelseal\[grpc\]"):
        OipGrpcEndpoint("grpc://host:1/m", DOMAIN)


def test_an_answer_that_holds_a_credential_is_an_answer_and_does_not_tell_it(server):
    address = server.serves(replying(0.5, 2.0, model_version="of secret-word"))
    with OipGrpcEndpoint(address, DOMAIN, credentials=TOKEN) as endpoint:
        assert endpoint.ask(CODES).values.tolist() == [[0.5, 2.0]]
        assert endpoint.model_version == "of ***"


def call(server, answer=b"", *, seconds=60.0, request=b"q", secure=False, **credentials):
    server.serves(answer)
    channel = Channel(
        server.address, secure=secure, seconds=seconds, credentials=Credentials(**credentials)
    )
    with closing(channel):
        return channel.call("ModelInfer", request)


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code.value[0]], ids=str)
def test_every_status_is_an_error_with_the_servers_own_words_and_some_may_pass(server, code):
    with pytest.raises(EndpointError, match=f"status {code.name}: boom at line 3$") as caught:
        call(server, failing(code, "boom\nat line 3"))
    assert isinstance(caught.value, PassingError) == (code.name in PASSING)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("pushback", "passing", "wait"),
    [
        *(("1500", True, 1.5), ("0", True, 0.0), ("999999999", True, 60.0), ("-1", False, None)),
        ("soon", False, None),
    ],
)
def test_a_busy_server_says_when_or_that_it_is_not_to_be_asked_again(
    server, pushback, passing, wait
):
    def refuse(request, context):
        context.set_trailing_metadata([("grpc-retry-pushback-ms", pushback)])
        context.abort(grpc.StatusCode.UNAVAILABLE, "busy")

    with pytest.raises(EndpointError, match="UNAVAILABLE: busy") as caught:
        call(server, refuse)
    assert isinstance(caught.value, PassingError) == passing
    assert getattr(caught.value, "wait", None) == wait


def test_the_servers_own_words_are_cut_short_or_left_out(server):
    assert str(call_error("INTERNAL", " ")).endswith("status INTERNAL")
    with pytest.raises(EndpointError, match=r"status INTERNAL: x{200}…$"):
        call(server, failing(grpc.StatusCode.INTERNAL, "x" * 5_000))
    with pytest.raises(EndpointError, match=r"status UNKNOWN: .*division"):
        call(server, lambda request, context: 1 // 0)


@pytest.mark.parametrize(("host", "said"), [("127.0.0.1:{port}", "refused"), ("unix:80", "unix")])
def test_nobody_listening_may_pass_whatever_the_host_is_called(host, said):
    (port,) = free_ports(1)
    with (
        closing(Channel(host.format(port=port), secure=False, seconds=60.0)) as channel,
        pytest.raises(PassingError, match=f"status UNAVAILABLE: .*{said}"),
    ):
        channel.call("ModelInfer", b"")


def test_a_silent_server_is_given_up_in_time(server):
    def wait(request, context):
        time.sleep(1)
        return b""

    with pytest.raises(PassingError, match="status DEADLINE_EXCEEDED"):
        call(server, wait, seconds=0.2)


def test_a_message_beyond_the_limit_of_answers_over_http_is_refused_and_does_not_pass(server):
    assert len(call(server, b"x" * 5_000_000)) == 5_000_000  # beyond gRPC's own limit
    with pytest.raises(EndpointError, match="at most 67108864 bytes") as caught:
        call(server, b"x" * (64 * 2**20 + 1))
    assert not isinstance(caught.value, PassingError)


def test_a_compressed_message_is_refused_unread():
    with (
        canned_server(compression=grpc.Compression.Gzip) as server,
        pytest.raises(EndpointError, match=r"status INTERNAL: .*ompression") as caught,
    ):
        call(server, b"\0" * 10_000)
    assert not isinstance(caught.value, PassingError)


@pytest.fixture
def certificate(tmp_path):
    """The file of who vouches for this machine, and what the server shows."""
    write_certificate(tmp_path, host="localhost")
    parts = [(tmp_path / name).read_bytes() for name in ("key.pem", "ca.pem")]
    return tmp_path / "ca.pem", grpc.ssl_server_credentials([tuple(parts)])


def test_a_servers_certificate_is_verified(certificate, monkeypatch):
    file, credentials = certificate
    with canned_server(credentials) as server:
        with pytest.raises(EndpointError, match="UNAVAILABLE") as distrusted:
            call(server, b"a", secure=True)
        assert not isinstance(distrusted.value, PassingError)
        assert server.asked == []
        assert call(server, b"a", secure=True, ca_file=file) == b"a"
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        assert call(server, b"a", secure=True) == b"a"
        server.address = server.address.replace("localhost", "127.0.0.1")
        with pytest.raises(EndpointError, match="UNAVAILABLE") as misnamed:
            call(server, b"a", secure=True)
        assert not isinstance(misnamed.value, PassingError)


def test_credentials_go_along_with_every_call(server):
    seen = []

    def note(request, context):
        seen.append(dict(context.invocation_metadata())["x-token"])
        return b"a"

    assert call(server, note, headers=TOKEN.headers) == b"a"
    assert seen == ["secret-word"]


def test_a_server_without_tls_is_not_asked_where_tls_is_wanted(server):
    with pytest.raises(EndpointError, match="UNAVAILABLE") as caught:
        call(server, b"a", secure=True)
    assert not isinstance(caught.value, PassingError)
    assert server.asked == []


def test_certificates_that_cannot_be_read_are_said(tmp_path, monkeypatch):
    class Nowhere:
        cafile = str(tmp_path)

    monkeypatch.setattr(oip_grpc, "get_default_verify_paths", Nowhere)
    with pytest.raises(EndpointError, match="certificates cannot be used"):
        Channel("host:1", secure=True, seconds=1.0)
    Nowhere.cafile = None
    assert read_certificates(NO_CREDENTIALS) is None


FAILING = """
from modelseal.endpoints.oip.grpc import Channel
from modelseal.errors import EndpointError
try:
    Channel("{address}", secure=True, seconds=60.0).call("ModelInfer", b"")
except EndpointError:
    print("refused")
"""


def test_nothing_is_written_to_the_terminal(server):
    command = [sys.executable, "-c", FAILING.format(address=server.address)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "refused\n", "")


M = Target(name="m")
SCALARS = {"FP32": "fp32_contents", "FP64": "fp64_contents", "INT64": "int64_contents"}
SCALARS |= {"UINT64": "uint64_contents"}
SCALARS |= dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents")
SCALARS |= dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents")


def tensor(values, *, datatype="FP32", shape=None, name="y", field="fp32_contents"):
    """An output as numbers."""
    contents = official.InferTensorContents(**{field: values})
    shape = [1, len(values)] if shape is None else shape
    return OUTPUT(name=name, datatype=datatype, shape=shape, contents=contents)


def said(*outputs, raw=()):
    return official.ModelInferResponse(outputs=outputs, raw_output_contents=raw)


def raw(values, datatype):
    """A response whose output is bytes."""
    output = OUTPUT(name="y", datatype=datatype, shape=[1, len(values)])
    return said(output, raw=[np.array(values, DTYPES[datatype]).tobytes()])


def decode(message, *, target=M, output="y", request="r"):
    body = message.SerializeToString()
    return decode_response(body, target=target, request=request, output=output)


def test_every_field_is_that_of_the_protocols_own_description():
    theirs = {
        "Contents": [official.InferTensorContents],
        "Tensor": [official.ModelInferRequest.InferInputTensor, OUTPUT],
    }
    pool = oip_grpc._message_classes()["Tensor"].DESCRIPTOR.file
    ours = descriptor_pb2.FileDescriptorProto()
    pool.CopyToProto(ours)
    assert len(ours.message_type) == 6
    for message in ours.message_type:
        assert message.field
        for other in theirs.get(message.name) or [getattr(official, message.name)]:
            for field in message.field:
                same = other.DESCRIPTOR.fields_by_name[field.name]
                repeated = field.label == descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
                assert (field.number, field.type) == (same.number, same.type)
                assert repeated == same.is_repeated
    assert official.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name == SERVICE


@pytest.mark.parametrize(
    "body", [b"<html>", b"\x0a\xff", b"\x0a\x02\xff\xfe", b"{}", b"\0" * 64], ids=repr
)
def test_what_is_no_such_message_is_refused(body):
    with pytest.raises(EndpointError, match=f"got {len(body)} other bytes"):
        decode_response(body, target=M, request="r", output="")


@pytest.mark.parametrize("datatype", ["FP32", "FP64", "UINT8"])
def test_a_request_is_one_that_the_protocols_own_description_reads(datatype):
    inputs = np.arange(24, dtype=DTYPES[datatype]).reshape(2, 3, 4)
    target = Target(name="m", version="3")
    body = encode_request(inputs, target=target, name="x", datatype=datatype, request="r")
    asked = official.ModelInferRequest.FromString(body)
    (entry,) = asked.inputs
    assert (asked.model_name, asked.model_version, asked.id) == ("m", "3", "r")
    assert (entry.name, entry.datatype, list(entry.shape)) == ("x", datatype, [2, 3, 4])
    assert not entry.HasField("contents")
    (data,) = asked.raw_input_contents
    assert np.array_equal(np.frombuffer(data, DTYPES[datatype]).reshape(2, 3, 4), inputs)
    question = official.ModelMetadataRequest.FromString(encode_metadata_request(target))
    assert (question.name, question.version) == ("m", "3")


def test_metadata_become_what_they_are_over_http():
    assert decode_metadata(METADATA.SerializeToString(), target=M) == {
        "versions": [],
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 3]}],
    }
    with pytest.raises(EndpointError, match='got "m"'):
        decode_metadata(METADATA.SerializeToString(), target=Target(name="n"))


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_of_fp32_come_bit_for_bit_in_both_forms(values):
    expected = np.array([values], np.float32).tobytes()
    assert decode(raw(values, "FP32")).output.tobytes() == expected
    assert decode(said(tensor(values))).output.tobytes() == expected


@pytest.mark.parametrize(("datatype", "field"), SCALARS.items())
def test_every_type_of_numbers_is_read_in_both_forms(datatype, field):
    expected = np.array([[1, 2, 3]], DTYPES[datatype].newbyteorder("="))
    typed = said(tensor([1, 2, 3], datatype=datatype, field=field))
    for shown in (decode(raw([1, 2, 3], datatype)).output, decode(typed).output):
        assert np.array_equal(shown, expected)
        assert shown.dtype == expected.dtype


def test_half_precision_comes_as_bytes_only():
    assert decode(raw([0.5], "FP16")).output.dtype == np.float32
    with pytest.raises(EndpointError, match="got FP16 without bytes"):
        decode(said(tensor([0.5], datatype="FP16")))


BYTES = {"datatype": "BYTES", "field": "bytes_contents"}


@pytest.mark.parametrize(
    "message",
    [
        *(said(), response(1.0, id="other"), response(1.0, model_name="n")),
        *(said(tensor([1.0], name="z")), said(tensor([1.0], shape=[1, 2]))),
        *(said(tensor([1.0], datatype="FP64")), said(tensor([1.0], shape=[2**40, 2**40]))),
        *(said(tensor([b"0.9:3"], **BYTES)), said(tensor([1.0]), raw=[b"a", b"b"])),
        said(tensor([1.0]), raw=[b"abc"]),
        said(tensor([b""], **BYTES), raw=[b"\4\0\0\0abcd"]),
    ],
)
def test_an_answer_that_is_not_what_it_should_be_is_refused(message):
    with refuses(EndpointError):
        decode(message)


def test_the_output_that_was_declared_is_taken_among_several_in_both_forms():
    typed = said(tensor([1.0], name="x"), tensor([2.0]))
    assert decode(typed).output == 2.0
    assert decode(typed, output="").output == 1.0
    data = [np.array(value, "<f4").tobytes() for value in (1.0, 2.0)]
    shapes = [tensor([], shape=[1, 1], name=name) for name in ("x", "y")]
    assert decode(said(*shapes, raw=data)).output == 2


def test_endless_tensors_are_refused_before_any_is_looked_at():
    with pytest.raises(EndpointError, match="got 1001"):
        decode_response(b"\x2a\x00" * 1001, target=M, request="r", output="")
    for tag in (b"\x12", b"\x22", b"\x2a"):
        with pytest.raises(EndpointError, match="got 1001"):
            decode_metadata((tag + b"\0") * 1001, target=M)


def refusal(read, body, **options):
    """What is said of a body that is refused; empty if it is read."""
    try:
        read(body, target=M, **options)
    except EndpointError as error:
        return str(error)
    return ""


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_a_fault(body):
    assert refusal(decode_metadata, body).isprintable()
    assert refusal(decode_response, body, request="r", output="").isprintable()
