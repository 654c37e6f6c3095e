import gc
import json
import re
from functools import partial

import numpy as np
import pytest

from modelseal.domain import Domain
from modelseal.endpoints.oip.rest_client import OipEndpoint
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.outputs.answers import Kind

DOMAIN = Domain(shape=(2, 3))
CODES = np.array([[[0, 51, 102], [153, 204, 255]], [[9, 8, 7], [6, 5, 4]]], np.uint8)
INPUT = {"name": "x", "datatype": "FP32", "shape": [-1, 2, 3]}
METADATA = {"name": "m", "versions": ["1"], "inputs": [INPUT], "outputs": []}
BINARY = {"name": "s", "extensions": ["binary_tensor_data"]}
LENGTH = "Inference-Header-Content-Length"


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
        length = int(headers[LENGTH])
        request, data = json.loads(body[:length]), body[length:]
        (tensor,) = request["inputs"]
        assert request["parameters"] == {"binary_data_output": True}
        assert tensor["parameters"] == {"binary_data_size": len(data)}
        dtype = {"FP32": "<f4", "UINT8": "u1"}[tensor["datatype"]]
        values = np.frombuffer(data, dtype).reshape(tensor["shape"]).sum(-1, dtype=np.float64)
        output = {"name": "y", "shape": list(values.shape), "datatype": "FP64"}
        output["parameters"] = {"binary_data_size": values.nbytes}
        head = json.dumps({"id": request["id"], "outputs": [output]}).encode()
        return reply(head + values.astype("<f8").tobytes(), **{LENGTH: str(len(head))})

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


def test_a_model_with_channels_last_gets_them_last(canned, reply):
    url = canned.serves(METADATA | {"inputs": [INPUT | {"shape": [-1, 3, 2]}]}, served(reply))
    wanted = DOMAIN.decode(CODES).astype(np.float64).sum(1)
    assert np.array_equal(OipEndpoint(url, DOMAIN).ask(CODES).values, wanted)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_a_model_of_a_fixed_batch_size_is_asked_in_such_groups(canned, reply, batch):
    url = canned.serves(METADATA | {"inputs": [INPUT | {"shape": [batch, 2, 3]}]}, served(reply))
    codes = np.concatenate([CODES, CODES[::-1], CODES[:1]])
    wanted = DOMAIN.decode(codes).astype(np.float64).sum(-1)
    assert np.array_equal(OipEndpoint(url, DOMAIN).ask(codes).values, wanted)
    shapes = {
        tuple(json.loads(body)["inputs"][0]["shape"])
        for method, _, _, body in canned.asked
        if method == "POST"
    }
    assert shapes == {(batch, 2, 3)}


def test_a_model_that_declares_nothing_is_asked_with_fp32_under_the_name_input(canned, reply):
    url = canned.serves({"name": "m", "inputs": [], "outputs": []}, served(reply))
    OipEndpoint(url, DOMAIN).ask(CODES)
    (tensor,) = json.loads(canned.asked[-1][3])["inputs"]
    assert (tensor["name"], tensor["datatype"], tensor["shape"]) == ("input", "FP32", [2, 2, 3])


def test_metadata_are_read_once_and_before_the_first_question(canned, reply):
    endpoint = OipEndpoint(canned.serves(METADATA, served(reply)), DOMAIN)
    endpoint.ask(CODES)
    endpoint.ask(CODES)
    assert [(method, path) for method, path, _, _ in canned.asked] == [
        ("GET", "/v2/models/m"),
        ("GET", "/v2"),
        ("POST", "/v2/models/m/infer"),
        ("POST", "/v2/models/m/infer"),
    ]


def test_every_request_has_a_name_of_its_own(canned, reply):
    endpoint = OipEndpoint(canned.serves(METADATA, served(reply)), DOMAIN)
    endpoint.ask(CODES)
    endpoint.ask(CODES)
    names = [json.loads(body)["id"] for method, _, _, body in canned.asked if method == "POST"]
    assert len(set(names)) == 2
    assert all(names)


def test_fractions_are_probabilities_if_it_is_said(canned, reply):
    endpoint = OipEndpoint(canned.serves(METADATA, served(reply)), DOMAIN, shows=Kind.PROBABILITIES)
    assert endpoint.ask(CODES).kind is Kind.PROBABILITIES


@pytest.mark.parametrize(
    ("shape", "data", "labels"),
    [([2], [3, 4], [[3], [4]]), ([2, 1], [[3], [4]], [[3], [4]]), ([2, 2], [3, 4, 5, 6], None)],
)
def test_whole_numbers_are_labels(canned, reply, shape, data, labels):
    output = {"name": "y", "datatype": "INT64", "shape": shape, "data": data}
    shown = OipEndpoint(canned.serves(METADATA, reply({"outputs": [output]})), DOMAIN).ask(CODES)
    assert shown.kind is Kind.LABELS
    assert shown.labels.tolist() == (labels or [[3, 4], [5, 6]])


def test_the_version_is_known_from_address_metadata_or_answer_in_rising_order(canned, reply):
    endpoint = OipEndpoint(canned.serves(METADATA, served(reply)), DOMAIN)
    assert endpoint.model_version == ""
    endpoint.ask(CODES)
    assert endpoint.model_version == "1"
    canned.serves(METADATA, served(reply, model_version="2"))
    endpoint.ask(CODES)
    assert endpoint.model_version == "2"
    assert OipEndpoint(f"{canned.url}/versions/7", DOMAIN).model_version == "7"


def test_a_version_and_a_prefix_in_the_address_are_kept(canned, reply):
    path = "/gateway/a/v2/models/m/versions/7"
    canned.routes[("GET", path)] = reply(METADATA)
    canned.routes[("POST", f"{path}/infer")] = served(reply)
    endpoint = OipEndpoint(f"{canned.root}{path}/", DOMAIN)
    endpoint.ask(CODES)
    assert [asked for _, asked, _, _ in canned.asked] == [path, "/gateway/a/v2", f"{path}/infer"]
    assert endpoint.model_version == "7"


SCORES = {"name": "y", "datatype": "FP32", "shape": [2, 3], "data": [1, 2, 3, 4, 5, 6]}


@pytest.mark.parametrize(
    ("metadata", "output", "message"),
    [
        (b"", SCORES, "no answer came"),
        (METADATA | {"name": "n"}, SCORES, 'name: m was wanted, but "n" came'),
        ({"inputs": [INPUT, INPUT]}, SCORES, "a model with one input was wanted, but it has 2"),
        ({"inputs": [INPUT | {"datatype": "FP16"}]}, SCORES, "not FP16"),
        (
            {"inputs": [INPUT | {"shape": [-1, 28, 28]}]},
            SCORES,
            r"takes shape \[-1, 2, 3\] was wanted, but it takes \[-1, 28, 28\]",
        ),
        (METADATA, SCORES | {"shape": [1, 6]}, r"shape \(2, at least 1\) .* but shape \(1, 6\)"),
        (METADATA, SCORES | {"shape": [6]}, r"shape \(2, at least 1\) .* but shape \(6,\)"),
        (METADATA, SCORES | {"shape": [2, 4]}, r"outputs\[0\]: data: 8 numbers were wanted"),
        (METADATA, SCORES | {"data": [1, 2, 3, 4, 5, None]}, r"outputs\[0\]: a number was wanted"),
        (METADATA, SCORES | {"datatype": "BOOL"}, "datatype: numbers were wanted, but BOOL came"),
    ],
)
def test_every_fault_is_one_sentence_that_begins_with_the_address(
    canned, reply, metadata, output, message
):
    url = canned.serves(metadata, reply({"outputs": [output]}))
    with pytest.raises(EndpointError, match=f"^{re.escape(url)}: .*{message}") as caught:
        OipEndpoint(url, DOMAIN).ask(CODES)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("infer", "message"),
    [
        ({"status": 500, "body": {"error": "out of memory"}}, "status 500 came: out of memory"),
        ({"body": b"<html>hello</html>", "Content_Type": "text/html"}, "JSON was wanted"),
        ({"body": b'{"outputs": [{"name": "y"'}, "JSON was wanted"),
        ({"body": [1]}, "a JSON object was wanted, but a list came"),
        ({"body": {"id": "other", "outputs": [SCORES]}}, 'was wanted, but "other" came'),
        ({"body": {"outputs": [SCORES]}, LENGTH: "7000"}, "a length up to"),
        (
            {"body": b'{"outputs": [{"datatype": "FP32", "shape": [2, 3], "data": [NaN]}]}'},
            "finite numbers were wanted, but NaN came",
        ),
    ],
)
def test_every_faulty_answer_is_an_error(canned, reply, infer, message):
    url = canned.serves(METADATA, reply(infer.pop("body"), **infer))
    with pytest.raises(EndpointError, match=message):
        OipEndpoint(url, DOMAIN).ask(CODES)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_bytes_that_are_not_finite_are_refused(canned, reply, value):
    tensor = {"name": "y", "datatype": "FP32", "shape": [2, 1]}
    tensor["parameters"] = {"binary_data_size": 8}
    head = json.dumps({"outputs": [tensor]}).encode()
    data = np.array([1, value], "<f4").tobytes()
    url = canned.serves(METADATA, reply(head + data, **{LENGTH: str(len(head))}))
    with pytest.raises(EndpointError, match="finite numbers were wanted"):
        OipEndpoint(url, DOMAIN).ask(CODES)


def test_metadata_that_could_not_be_read_are_read_again(canned, reply):
    endpoint = OipEndpoint(canned.serves(b"", served(reply)), DOMAIN)
    with pytest.raises(EndpointError, match="no answer came"):
        endpoint.ask(CODES)
    canned.serves(METADATA, served(reply))
    assert len(endpoint.ask(CODES)) == 2


def test_wrong_inputs_are_the_callers_mistake_and_nobody_is_asked(canned, reply):
    endpoint = OipEndpoint(canned.serves(METADATA, served(reply)), DOMAIN)
    with pytest.raises(InvalidArgumentError, match="inputs need shape"):
        endpoint.ask(CODES[:, :1])
    assert canned.asked == []
    with pytest.raises(InvalidArgumentError, match="at least one input is needed"):
        endpoint.ask(CODES[:0])


def kept(reply, infer):
    """The answers of a server that keeps its connections, metadata first."""
    keep = partial(reply, Connection="keep-alive")
    return keep(METADATA), infer(keep)


def test_one_connection_is_kept_for_all_questions_until_it_is_closed(canned, reply):
    metadata, infer = kept(reply, served)
    with OipEndpoint(canned.serves(metadata, infer), DOMAIN) as endpoint:
        canned.routes[("GET", "/v2")] = reply({}, Connection="keep-alive")
        endpoint.ask(CODES)
        endpoint.ask(CODES)
        assert len(canned.clients) == 4
        assert len(set(canned.clients)) == 1
    assert endpoint.connection is None
    endpoint.close()
    endpoint.ask(CODES)
    assert len(set(canned.clients)) == 2


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
    with pytest.raises(EndpointError, match="no answer came"):
        endpoint.ask(CODES)
    assert len(endpoint.ask(CODES)) == 2


def test_a_connection_that_nobody_closes_ends_with_its_endpoint(canned, reply):
    metadata, infer = kept(reply, served)
    endpoint = OipEndpoint(canned.serves(metadata, infer), DOMAIN)
    endpoint.ask(CODES)
    (client,) = endpoint.connection.clients
    assert not client.is_closed
    del endpoint
    gc.collect()
    assert client.is_closed


def test_an_output_that_was_not_declared_is_not_taken_for_the_answer(canned, reply):
    declared = METADATA | {"outputs": [{"name": "scores"}]}
    output = {"name": "time", "datatype": "INT64", "shape": [2], "data": [3, 4]}
    url = canned.serves(declared, reply({"outputs": [output]}))
    with pytest.raises(EndpointError, match='outputs: "scores" was wanted, but "time" came'):
        OipEndpoint(url, DOMAIN).ask(CODES)


def test_a_password_in_the_address_is_sent_and_never_shown(canned, reply):
    url = canned.serves(METADATA, reply({}, status=403)).replace("//", "//me:secret@")
    with pytest.raises(EndpointError, match=re.escape(f"{canned.url}: ")) as caught:
        OipEndpoint(url, DOMAIN).ask(CODES)
    assert "secret" not in str(caught.value)
    assert canned.asked[0][2]["Authorization"].startswith("Basic ")
    with pytest.raises(InvalidArgumentError, match="NAME, but got http://host/x") as wrong:
        OipEndpoint("http://me:secret@host/x", DOMAIN)
    assert "secret" not in str(wrong.value)
