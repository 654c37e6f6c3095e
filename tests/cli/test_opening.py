import sys

import numpy as np
import pytest
import sealed
from onnx import TensorProto, helper, save

from modelseal.cli.opening import expected_kind, open_endpoint, require_torch, shown_name
from modelseal.domain import Domain
from modelseal.endpoints.local import LocalEndpoint
from modelseal.endpoints.oip import OipEndpoint
from modelseal.endpoints.onnx import OnnxEndpoint
from modelseal.endpoints.recorded import RecordedEndpoint
from modelseal.errors import BadFileError, InvalidArgumentError, MissingExtraError
from modelseal.outputs.answers import Kind
from modelseal.outputs.specs import Probabilities, RawScores, TopLabels, TopProbabilities

IMAGES = Domain(shape=(1, 8, 8))


@pytest.fixture
def onnx_file(folder):
    """A model that gives back its own six inputs as six scores."""
    inputs = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2, 3])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 6])
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["y"])], "flat", [inputs], [output]
    )
    opset = [helper.make_opsetid("", 17)]
    save(helper.make_model(graph, opset_imports=opset, ir_version=9), folder / "m.onnx")
    return folder / "m.onnx"


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        (TopLabels(), Kind.SCORES),
        (TopLabels(3), Kind.SCORES),
        (RawScores(0.5), Kind.SCORES),
        (Probabilities(3), Kind.PROBABILITIES),
        (TopProbabilities(2, 3), Kind.PROBABILITIES),
    ],
    ids=str,
)
@pytest.mark.parametrize("address", ["http://host/v2/models/m", "https://host:8000/v2/models/m"])
def test_numbers_of_a_server_are_probabilities_where_the_fingerprint_expects_them(
    address, spec, kind
):
    made = sealed.fingerprint(spec=spec)
    assert expected_kind(made) is kind
    endpoint = open_endpoint(address, made)
    assert isinstance(endpoint, OipEndpoint)
    assert (endpoint.url, endpoint.domain, endpoint.shows) == (address, made.domain, kind)


@pytest.mark.parametrize("shows", [Kind.SCORES, Kind.PROBABILITIES])
def test_the_user_can_say_what_the_numbers_are(shows, onnx_file):
    made = sealed.fingerprint(spec=Probabilities(3))
    assert open_endpoint("http://host/v2/models/m", made, shows=shows).shows is shows
    assert open_endpoint(str(onnx_file), made, shows=shows).shows is shows


def test_an_onnx_file_is_run(onnx_file):
    made = sealed.fingerprint(classes=6)
    endpoint = open_endpoint(str(onnx_file), made)
    assert isinstance(endpoint, OnnxEndpoint)
    scores = endpoint.ask(made.samples).values
    assert np.array_equal(scores, made.domain.decode(made.samples).reshape(3, 6))


def test_a_file_of_recorded_answers_is_looked_up(seal_file):
    made = seal_file()
    endpoint = open_endpoint("answers.jsonl", made)
    assert isinstance(endpoint, RecordedEndpoint)
    assert np.array_equal(endpoint.ask(made.samples).labels, made.expected.labels)


def test_a_model_is_built_and_run(model):
    made = sealed.fingerprint(domain=IMAGES, count=2)
    endpoint = open_endpoint(str(model()), made)
    assert isinstance(endpoint, LocalEndpoint)
    assert endpoint.ask(made.samples).values.shape == (2, 5)


@pytest.mark.parametrize(
    "domain",
    [
        Domain(shape=(8, 8)),
        Domain(shape=(1, 8, 8), bounds=(-1.0, 1.0)),
        Domain(shape=(1, 8, 8), levels=0),
    ],
    ids=str,
)
def test_a_model_of_other_inputs_than_the_sealed_one_is_refused(model, domain):
    made = sealed.fingerprint(domain=domain)
    wanted = r"toml: inputs of .* were wanted, as sealed, but it takes inputs of shape 1 x 8 x 8"
    with pytest.raises(BadFileError, match=wanted):
        open_endpoint(str(model()), made)


@pytest.mark.parametrize("name", ["model", "x.seal", "ftp://host/v2/models/m", "", "HTTP://h"])
def test_another_name_is_refused_with_what_would_do(name):
    wanted = r"an endpoint is http\(s\)://host/v2/models/NAME, a model.toml, an .onnx file or a"
    with pytest.raises(InvalidArgumentError, match=wanted):
        open_endpoint(name, sealed.fingerprint())


@pytest.mark.parametrize("name", ["missing.toml", "missing.onnx", "missing.jsonl"])
def test_a_missing_file_is_refused(folder, name):
    with pytest.raises(BadFileError, match=name):
        open_endpoint(name, sealed.fingerprint())


@pytest.mark.parametrize("name", ["m.TOML", "m.Onnx", "m.JSONL"])
def test_the_case_of_a_file_s_ending_does_not_matter(folder, name):
    with pytest.raises(BadFileError, match=name):
        open_endpoint(name, sealed.fingerprint())


def test_an_address_is_shown_without_user_and_password():
    assert shown_name("http://me:secret@host/v2/models/m") == "http://host/v2/models/m"
    assert shown_name("a@b.onnx") == "a@b.onnx"


def test_a_model_without_torch_asks_for_the_extra(model, monkeypatch):
    path = model()
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r'Running a model.toml .*"modelseal\[seal\]"'):
        open_endpoint(str(path), sealed.fingerprint(domain=IMAGES))


def test_torch_is_not_missed_where_it_is():
    require_torch("This test")
