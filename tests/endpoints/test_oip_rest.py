import gc
import json
import re
import struct
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from refusals import refuses

from modelseal.domain import Domain
from modelseal.endpoints.oip.contract import DTYPES, Contract, Target, read_contract
from modelseal.endpoints.oip.rest import (
    JSON_LENGTH,
    OipEndpoint,
    decode,
    encode_binary,
    encode_json,
)
from modelseal.endpoints.requests import TensorFormat
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.outputs.answers import Kind

DOMAIN = Domain(shape=(2, 3))
CODES = np.array([[[0, 51, 102], [153, 204, 255]], [[9, 8, 7], [6, 5, 4]]], np.uint8)
INPUT = {"name": "x", "datatype": "FP32", "shape": [-1, 2, 3]}
METADATA = {"name": "m", "versions": ["1"], "inputs": [INPUT], "outputs": []}
BINARY = {"name": "s", "extensions": ["other", "binary_tensor_data"]}
SCORES = {"name": "y", "datatype": "FP32", "shape": [2, 3], "data": [1, 2, 3, 4, 5, 6]}


def served(reply, **more):
    """A model that answers the sums of its inputs' rows, read and written by hand."""

    def infer(headers, body):
        assert headers["Content-Type"] == "application/json"
        request = json.loads(body)
        (tensor,) = request["inputs"]
        values = np.array(tensor["data"]).reshape(tensor["shape"]).sum(-1)
        output = {"name": "y", "shape": list(values.shape), "datatype": "FP64"}
        output["data"] = values.tolist()
        return reply({"id": request["id"], "outputs": [output]} | more)

    return infer


def served_binary(reply):
    """The same with bytes behind the JSON, there and back."""

    def infer(headers, body):
        assert headers["Content-Type"] == "application/octet-stream"
        length = int(headers[JSON_LENGTH])
        request, data = json.loads(body[:length]), body[length:]
        (tensor,) = request["inputs"]
        assert request["parameters"] == {"binary_data_output": True}
        assert tensor["parameters"] == {"binary_data_size": len(data)}
        dtype = {"FP32": "<f4", "UINT8": "u1"}[tensor["datatype"]]
        values = np.frombuffer(data, dtype).reshape(tensor["shape"]).sum(-1, dtype=np.float64)
        output = {"name": "y", "shape": list(values.shape), "datatype": "FP64"}
        output["parameters"] = {"binary_data_size": values.nbytes}
        head = json.dumps({"id": request["id"], "outputs": [output]}).encode()
        return reply(head + values.astype("<f8").tobytes(), **{JSON_LENGTH: str(len(head))})

    return infer


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(("datatype", "inputs"), [("FP32", DOMAIN.decode(CODES)), ("UINT8", CODES)])
def test_answers_are_those_of_the_model_as_json_and_as_bytes(
    canned, reply, binary, datatype, inputs
):
    metadata = METADATA | {"inputs": [INPUT | {"datatype": datatype}]}
    infer = served_binary(reply) if binary else served(reply)
    url = canned.serves(metadata, infer, server=BINARY if binary else {"extensions": []})
    shown = OipEndpoint(url, DOMAIN).ask(CODES)
    assert shown.kind is Kind.SCORES
    assert np.array_equal(shown.values, inputs.astype(np.float64).sum(-1))


@pytest.mark.parametrize("batch", [1, 3])
def test_a_model_of_a_fixed_batch_size_is_asked_in_such_batches(canned, reply, batch):
    url = canned.serves(METADATA | {"inputs": [INPUT | {"shape": [batch, 2, 3]}]}, served(reply))
    codes = np.concatenate([CODES, CODES[::-1], CODES[:1]])
    wanted = DOMAIN.decode(codes).astype(np.float64).sum(-1)
    assert np.array_equal(OipEndpoint(url, DOMAIN).ask(codes).values, wanted)
    posted = [
        json.loads(body)["inputs"][0] for method, *_, body in canned.asked if method[0] == "P"
    ]
    assert {tuple(tensor["shape"]) for tensor in posted} == {(batch, 2, 3)}


def test_metadata_are_read_once_and_every_request_has_a_name_of_its_own(canned, reply):
    endpoint = OipEndpoint(canned.serves(METADATA, served(reply)), DOMAIN)
    endpoint.ask(CODES)
    endpoint.ask(CODES)
    assert [(method, path) for method, path, _, _ in canned.asked] == [
        ("GET", "/v2/models/m"),
        ("GET", "/v2"),
        ("POST", "/v2/models/m/infer"),
        ("POST", "/v2/models/m/infer"),
    ]
    names = [json.loads(body)["id"] for *_, body in canned.asked[2:]]
    assert len(set(names) - {""}) == 2


def test_the_version_is_known_from_address_metadata_or_answer_in_rising_order(canned, reply):
    endpoint = OipEndpoint(canned.serves(METADATA, served(reply)), DOMAIN)
    assert endpoint.model_version == ""
    endpoint.ask(CODES)
    assert endpoint.model_version == "1"
    canned.serves(METADATA, served(reply, model_version="2"))
    endpoint.ask(CODES)
    assert endpoint.model_version == "2"


def test_a_version_and_a_prefix_in_the_address_are_kept(canned, reply):
    path = "/gateway/a/v2/models/a%20b/versions/1%2B"
    canned.routes[("GET", path)] = reply(METADATA | {"name": "a b"})
    canned.routes[("POST", f"{path}/infer")] = served(reply, model_name="a b", model_version="1+")
    endpoint = OipEndpoint(f"{canned.root}{path}/", DOMAIN)
    assert endpoint.model_version == "1+"
    endpoint.ask(CODES)
    assert [asked for _, asked, _, _ in canned.asked] == [path, "/gateway/a/v2", f"{path}/infer"]


@pytest.mark.parametrize(
    ("metadata", "infer"),
    [
        *((b"", {}), (METADATA | {"name": "n"}, {}), ({"inputs": [INPUT, INPUT]}, {})),
        ({"inputs": [INPUT | {"shape": [-1, 28, 28]}]}, {}),
        (METADATA, {"body": {"outputs": [SCORES | {"shape": [1, 6]}]}}),
        (METADATA, {"body": {"outputs": [SCORES | {"shape": [6]}]}}),
        (METADATA, {"body": {"outputs": [SCORES | {"datatype": "BOOL"}]}}),
        (METADATA | {"outputs": [{"name": "scores"}]}, {}),
        (METADATA, {"status": 500, "body": {"error": "out of memory"}}),
        (METADATA, {"body": b"<html>hello</html>", "Content_Type": "text/html"}),
        (METADATA, {"body": b'{"outputs": [{"name": "y"'}),
        (METADATA, {"body": [1]}),
        (METADATA, {"body": {"id": "other", "outputs": [SCORES]}}),
        (METADATA, {"body": {"outputs": [SCORES]}, JSON_LENGTH: "7000"}),
        (METADATA, {"body": b'{"outputs": [{"datatype": "FP32", "shape": [2], "data": [NaN]}]}'}),
    ],
)
def test_every_fault_is_one_sentence_that_begins_with_the_address(canned, reply, metadata, infer):
    answer = {"body": {"outputs": [SCORES]}, **infer}
    url = canned.serves(metadata, reply(answer.pop("body"), **answer))
    with refuses(EndpointError) as caught:
        OipEndpoint(url, DOMAIN).ask(CODES)
    assert str(caught.value).startswith(f"{url}: ")


def test_metadata_that_could_not_be_read_are_read_again(canned, reply):
    endpoint = OipEndpoint(canned.serves(b"", served(reply)), DOMAIN)
    with refuses(EndpointError):
        endpoint.ask(CODES)
    canned.serves(METADATA, served(reply))
    assert len(endpoint.ask(CODES)) == 2


def test_one_connection_is_kept_for_all_questions_until_it_is_closed_or_forgotten(canned, reply):
    keep = partial(reply, Connection="keep-alive")
    with OipEndpoint(canned.serves(keep(METADATA), served(keep)), DOMAIN) as endpoint:
        canned.routes[("GET", "/v2")] = keep({})
        endpoint.ask(CODES)
        endpoint.ask(CODES)
        assert (len(canned.clients), len(set(canned.clients))) == (4, 1)
    endpoint.close()
    endpoint.ask(CODES)
    assert len(set(canned.clients)) == 2
    (lane,) = endpoint._connection._idle
    del endpoint
    gc.collect()
    assert lane._client.is_closed


def test_a_kept_connection_that_breaks_is_opened_anew(canned, reply):
    answers = []

    def infer(headers, body):
        answers.append(b"" if len(answers) in {1, 3, 4} else served(keep)(headers, body))
        return answers[-1]

    keep = partial(reply, Connection="keep-alive")
    endpoint = OipEndpoint(canned.serves(keep(METADATA), infer), DOMAIN)
    endpoint.ask(CODES)
    assert len(endpoint.ask(CODES)) == 2
    assert canned.clients[-3] == canned.clients[-2] != canned.clients[-1]
    with pytest.raises(EndpointError, match="got none"):
        endpoint.ask(CODES)
    assert len(endpoint.ask(CODES)) == 2


def test_a_password_in_the_address_is_sent_and_never_shown(canned, reply):
    url = canned.serves(METADATA, reply({}, status=403)).replace("//", "//me:secret@")
    with pytest.raises(EndpointError, match=re.escape(f"{canned.url}: ")) as caught:
        OipEndpoint(url, DOMAIN).ask(CODES)
    assert "secret" not in str(caught.value)
    assert canned.asked[0][2]["Authorization"].startswith("Basic ")
    with pytest.raises(InvalidArgumentError, match="got http://host/x") as wrong:
        OipEndpoint("http://me:secret@host/x", DOMAIN)
    assert "secret" not in str(wrong.value)


@pytest.mark.parametrize(
    "url",
    [
        *("", "host/v2/models/m", "ftp://host/v2/models/m", "http:///v2/models/m", "http://host"),
        *("http://host/v2/models", "http://host/v2/models/", "http://host/v1/models/m"),
        *("http://host/v2/models/m/infer", "http://host/v2/models/m/versions"),
        *("http://host/v2/models/m?x=1", "http://host/v2/models/m#x"),
        *("http://host/v2/models/m m", "http://host:port/v2/models/m"),
        *("http://host:0/v2/models/m", "http://host:99999/v2/models/m"),
        "http://[::1/v2/models/m",
    ],
)
def test_an_address_of_another_form_is_the_callers_mistake(url):
    with refuses(InvalidArgumentError, field="url"):
        OipEndpoint(url, DOMAIN)


def test_fractions_cannot_be_labels():
    with refuses(InvalidArgumentError, field="shows"):
        OipEndpoint("http://host/v2/models/m", DOMAIN, shows=Kind.LABELS)


def test_full_metadata_say_how_the_model_is_asked():
    model = {
        "name": "m",
        "versions": ["7"],
        "platform": "p",
        "inputs": [INPUT | {"datatype": "UINT8"}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 10]}, {"name": "z"}],
    }
    assert read_contract(model, BINARY, DOMAIN) == Contract(
        inputs=TensorFormat(name="x", datatype="UINT8"), output="y", version="7", binary=True
    )


@pytest.mark.parametrize(
    "model",
    [
        *({}, {"name": "m", "versions": None, "inputs": [], "outputs": []}),
        *({"inputs": None, "outputs": None, "versions": []}, {"versions": ["1", "2"]}),
    ],
)
def test_what_metadata_leave_open_is_what_is_usual(model):
    assert read_contract(model, {}, DOMAIN) == Contract(inputs=TensorFormat(name="input"))


@pytest.mark.parametrize(
    ("model", "server", "binary"),
    [
        *(({}, BINARY, True), (BINARY, {}, True), ({}, {"extensions": ["binary"]}, False)),
        ({}, {"extensions": "binary_tensor_data"}, False),
        ({"extensions": None}, {"extensions": []}, False),
    ],
)
def test_bytes_travel_only_if_the_extension_is_listed(model, server, binary):
    assert read_contract(model, server, DOMAIN).binary is binary


@pytest.mark.parametrize(
    "model",
    [
        *({"inputs": 3}, {"inputs": ["x"]}, {"inputs": [INPUT, INPUT]}),
        *({"inputs": [INPUT | {"name": None}]}, {"inputs": [INPUT | {"name": "x\ud800"}]}),
        *({"inputs": [INPUT | {"datatype": 1}]}, {"inputs": [INPUT | {"datatype": "BYTES"}]}),
        *({"inputs": [INPUT | {"shape": None}]}, {"inputs": [INPUT | {"shape": [-1, 5, 4]}]}),
        *({"outputs": [{}]}, {"versions": "1"}),
    ],
    ids=str,
)
def test_metadata_that_are_malformed_or_for_other_inputs_are_refused(model):
    with refuses(EndpointError):
        read_contract(model, {}, DOMAIN)


OUTPUT = {"name": "y", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4.5]}


def read(content, data=b"", *, length=None, output="", version=""):
    """Decodes a response of this content, with bytes behind it if there are any."""
    head = json.dumps(content).encode()
    length = (str(len(head)) if data else "") if length is None else length
    target = Target(name="m", version=version)
    return decode(head + data, length=length, target=target, request="r1", output=output)


def test_a_json_request_is_what_the_protocol_says():
    inputs = np.array([[[0.5, 1.0]], [[-2.0, 0.1]]], np.float32)
    body, headers = encode_json(inputs, name="x", datatype="FP32", request="r1")
    tensor = {"name": "x", "shape": [2, 1, 2], "datatype": "FP32"}
    tensor["data"] = [0.5, 1.0, -2.0, float(np.float32(0.1))]
    assert headers == {"Content-Type": "application/json"}
    assert json.loads(body) == {"id": "r1", "inputs": [tensor]}


def test_a_binary_request_has_little_endian_bytes_behind_the_json():
    inputs = np.array([[0.5, -2.0]], np.float32)
    body, headers = encode_binary(inputs, name="x", datatype="FP32", request="r1")
    length = int(headers[JSON_LENGTH])
    assert body[length:] == struct.pack("<2f", 0.5, -2.0)
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32"}
    tensor["parameters"] = {"binary_data_size": 8}
    parameters = {"binary_data_output": True}
    wanted = {"id": "r1", "inputs": [tensor], "parameters": parameters}
    assert json.loads(body[:length]) == wanted


FINITE = {"allow_nan": False, "allow_infinity": False}
arrays = st.one_of(
    hnp.arrays(
        DTYPES[name].newbyteorder("="),
        hnp.array_shapes(min_dims=1, max_dims=2, max_side=5),
        elements=FINITE if name.startswith("FP") else None,
    )
    for name in DTYPES
    if name != "FP16"
)


@given(array=arrays, form=st.sampled_from(["flat", "nested", "binary"]))
def test_every_array_comes_back_bit_for_bit_in_every_form(array, form):
    prefix = {"f": "FP", "i": "INT", "u": "UINT"}[array.dtype.kind]
    datatype = f"{prefix}{8 * array.itemsize}"
    tensor = {"name": "y", "datatype": datatype, "shape": list(array.shape)}
    data = b""
    if form == "binary":
        data = array.astype(array.dtype.newbyteorder("<")).tobytes()
        tensor["parameters"] = {"binary_data_size": len(data)}
    else:
        tensor["data"] = (array if form == "nested" else array.ravel()).tolist()
    output = read({"outputs": [tensor]}, data).output
    assert (output.dtype, output.shape) == (array.dtype, array.shape)
    assert output.tobytes() == array.tobytes()


@pytest.mark.parametrize("binary", [False, True])
def test_half_precision_becomes_float32_with_the_same_values(binary):
    values = np.array([[0.1, 65504.0, -1e-7]], np.float16)
    tensor = {"name": "y", "datatype": "FP16", "shape": [1, 3]}
    tensor |= {"parameters": {"binary_data_size": 6}} if binary else {"data": values.tolist()}
    output = read({"outputs": [tensor]}, values.tobytes() if binary else b"").output
    assert output.dtype == np.float32
    assert np.array_equal(output, values)


def test_the_declared_output_is_taken_and_the_first_if_none_is_declared():
    outputs = [OUTPUT | {"name": "a"}, OUTPUT | {"name": "b", "data": [9, 8, 7, 6]}]
    assert read({"outputs": outputs}, output="b").output[0, 0] == 9
    assert read({"outputs": outputs}, output="a").output[0, 0] == 1
    assert read({"outputs": outputs}, output="").output[0, 0] == 1
    with pytest.raises(EndpointError, match='got "a", "b"'):
        read({"outputs": outputs}, output="c")
    with pytest.raises(EndpointError, match="got nothing, a list"):
        read({"outputs": [{}, {"name": ["y"]}]}, output="y")


def test_the_bytes_of_several_outputs_stand_one_after_another():
    def tensor(name, **parameters):
        return {"name": name, "datatype": "INT32", "shape": [2], "parameters": parameters}

    outputs = [
        tensor("a", binary_data_size=8),
        tensor("json") | {"data": [5, 6]},
        tensor("b", binary_data_size=8),
    ]
    data = struct.pack("<4i", 1, 2, 3, 4)
    for name, numbers in {"a": [1, 2], "b": [3, 4], "json": [5, 6]}.items():
        assert read({"outputs": outputs}, data, output=name).output.tolist() == numbers


@pytest.mark.parametrize(
    "said",
    [{}, {"id": None}, {"id": ""}, {"id": "r1"}, {"model_name": None}, {"model_name": "m"}],
    ids=str,
)
def test_an_answer_that_does_not_say_for_what_it_is_is_taken(said):
    assert read(said | {"outputs": [OUTPUT]}).output.tolist() == [[1, 2], [3, 4.5]]


@pytest.mark.parametrize(
    "content",
    [
        *({"id": "r2", "outputs": [OUTPUT]}, {"id": 1, "outputs": [OUTPUT]}),
        *({"model_name": "n", "outputs": [OUTPUT]}, {"error": "no"}, {"outputs": []}),
        {"outputs": [3]},
    ],
    ids=str,
)
def test_a_response_for_another_request_or_without_an_output_is_refused(content):
    with refuses(EndpointError):
        read(content)


def test_the_version_that_answers_must_be_the_one_asked_for_if_any():
    for version in ("3", 3, "", None):
        content = {"model_version": version, "outputs": [OUTPUT]}
        assert read(content, version="3").version == ("3" if version else "")
    content = {"model_version": "4", "outputs": [OUTPUT]}
    assert read(content).version == "4"
    with pytest.raises(EndpointError, match=r'model_version: .*got "4"'):
        read(content, version="3")


@pytest.mark.parametrize(
    "change",
    [
        *({"datatype": None}, {"datatype": "BYTES"}, {"shape": None}, {"shape": ["2", 2]}),
        *({"shape": [-1, -4]}, {"shape": [-1, 4]}, {"shape": [0, 10**30], "data": []}),
        *({"shape": []}, {"shape": [2, 2, 1]}, {"shape": [10**30, 10**30]}, {"shape": [2, 3]}),
        *({"data": None}, {"data": []}, {"data": [1, 2, 3, "4"]}, {"data": [1, 2, 3, None]}),
        *({"data": [1, 2, 3, True]}, {"data": [1, 2, 3, 1e300]}, {"data": [[1, 2], [3, 4, 5]]}),
        *({"data": [[1, 2], 3]}, {"data": [[1, 2], [3, [4]]]}, {"data": [[1, 2]]}),
        *({"datatype": "INT64"}, {"datatype": "INT8", "data": [1, 2, 3, 128]}),
        *({"parameters": {"binary_data_size": 16}}, {"parameters": {"binary_data_size": -1}}),
        {"parameters": {"binary_data_size": "1"}},
    ],
    ids=str,
)
def test_an_output_that_is_not_what_it_says_is_refused(change):
    with pytest.raises(EndpointError, match=r"^outputs\[0\]: "):
        read({"outputs": [OUTPUT | change]})


@pytest.mark.parametrize(("size", "came"), [(12, 12), (16, 15), (16, 17)])
def test_bytes_of_another_number_are_refused(size, came):
    tensor = {key: OUTPUT[key] for key in ("name", "datatype", "shape")}
    with pytest.raises(EndpointError, match=f"got {came}"):
        read({"outputs": [tensor | {"parameters": {"binary_data_size": size}}]}, b"\0" * came)


@pytest.mark.parametrize("length", ["x", "-1", "1.0", "99999", "9" * 5000, "0" * 5000, "²", "1 "])
def test_a_length_that_is_no_length_is_refused(length):
    with pytest.raises(EndpointError, match=JSON_LENGTH):
        read({"outputs": [OUTPUT]}, length=length)


@given(st.binary(max_size=200), st.sampled_from(["", "0", "5", "200"]))
def test_no_bytes_whatever_raise_anything_but_an_endpoint_error(body, length):
    with refuses(EndpointError):
        decode(body, length=length, target=Target(name="m"), request="r1", output="")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(OUTPUT, json_values)), st.binary())
def test_no_output_whatever_raises_anything_but_an_endpoint_error(change, data):
    try:
        output = read({"outputs": [OUTPUT | change]}, data).output
    except EndpointError:
        return
    assert not data
    assert output.ndim in {1, 2}
    assert np.isfinite(output).all()
