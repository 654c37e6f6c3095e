import sys
from pathlib import Path

import numpy as np
import pytest
import sealed
import torch
from onnx import TensorProto, helper, save
from torch import nn

from modelseal.domain import Domain
from modelseal.endpoints.endpoint import CallableEndpoint
from modelseal.endpoints.factory import (
    endpoint,
    endpoint_files,
    endpoint_name,
    expected_kind,
    register_endpoint,
)
from modelseal.endpoints.oip.grpc import OipGrpcEndpoint
from modelseal.endpoints.oip.rest import OipEndpoint
from modelseal.endpoints.onnx import OnnxEndpoint
from modelseal.endpoints.recorded import RecordedEndpoint
from modelseal.errors import BadFileError, EndpointError, InvalidArgumentError, MissingExtraError
from modelseal.models import loader
from modelseal.models.loader import Model
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
    opened = endpoint(address, made)
    assert isinstance(opened, OipEndpoint)
    assert (opened.url, opened.domain, opened.shows) == (address, made.domain, kind)


@pytest.mark.parametrize("address", ["grpc://host:8001/m", "grpcs://host:8001/m/3"])
def test_an_address_of_grpc_is_asked_over_grpc_and_shown_as_it_is(address):
    made = sealed.fingerprint(spec=Probabilities(3))
    opened = endpoint(address, made)
    assert isinstance(opened, OipGrpcEndpoint)
    assert (opened.name, opened.domain) == (address, made.domain)
    assert opened.shows is Kind.PROBABILITIES
    assert endpoint(address, made, shows=Kind.SCORES).shows is Kind.SCORES
    assert (endpoint_files(address), endpoint_name(address)) == ((), address)


@pytest.mark.parametrize("shows", [Kind.SCORES, Kind.PROBABILITIES])
def test_the_user_can_say_what_the_numbers_are(shows, onnx_file):
    made = sealed.fingerprint(spec=Probabilities(3))
    assert endpoint("http://host/v2/models/m", made, shows=shows).shows is shows
    assert endpoint(str(onnx_file), made, shows=shows).shows is shows


def test_an_onnx_file_is_run(onnx_file):
    made = sealed.fingerprint(classes=6)
    opened = endpoint(str(onnx_file), made)
    assert isinstance(opened, OnnxEndpoint)
    scores = opened.ask(made.samples).values
    assert np.array_equal(scores, made.domain.decode(made.samples).reshape(3, 6))


def test_a_file_of_recorded_answers_is_looked_up(seal_file):
    made = seal_file()
    opened = endpoint("answers.jsonl", made)
    assert isinstance(opened, RecordedEndpoint)
    assert np.array_equal(opened.ask(made.samples).labels, made.expected.labels)


def test_a_model_is_built_and_run(model):
    made = sealed.fingerprint(domain=IMAGES, count=2)
    opened = endpoint(str(model()), made)
    assert isinstance(opened, CallableEndpoint)
    assert opened.ask(made.samples).values.shape == (2, 5)


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
    with pytest.raises(BadFileError) as caught:
        endpoint(str(model()), made)
    assert caught.value.field == "input"


@pytest.mark.parametrize("name", ["model", "x.seal", "ftp://host/v2/models/m", "", "HTTP://h"])
def test_another_name_is_refused_with_what_would_do(name):
    with pytest.raises(InvalidArgumentError) as caught:
        endpoint(name, sealed.fingerprint())
    assert caught.value.field == "endpoint"


@pytest.mark.parametrize("name", ["missing.toml", "missing.onnx", "missing.jsonl"])
def test_a_missing_file_is_refused(folder, name):
    with pytest.raises(BadFileError, match=name):
        endpoint(name, sealed.fingerprint())


@pytest.mark.parametrize("name", ["m.TOML", "m.Onnx", "m.JSONL"])
def test_the_case_of_a_file_s_ending_does_not_matter(folder, name):
    with pytest.raises(BadFileError, match=name):
        endpoint(name, sealed.fingerprint())


def test_an_address_is_shown_without_user_and_password():
    assert endpoint_name("http://me:secret@host/v2/models/m") == "http://host/v2/models/m"
    assert endpoint_name("a@b.onnx") == "a@b.onnx"


def test_a_model_without_torch_asks_for_the_extra(model, monkeypatch):
    path = model()
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r'Running a model.toml .*"modelseal\[seal\]"'):
        endpoint(str(path), sealed.fingerprint(domain=IMAGES))


class Odd(nn.Module):
    """Gives scores of a type, or fails."""

    def __init__(self, result):
        super().__init__()
        self.result = result

    def forward(self, inputs):
        if isinstance(self.result, torch.dtype):
            return inputs.flatten(1)[:, :5].to(self.result)
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result


def odd_endpoint(result, monkeypatch):
    made = Model(network=Odd(result), domain=IMAGES)
    monkeypatch.setattr(loader, "load_model", lambda path: made)
    function = loader.score_function(Path("m.toml"), IMAGES)
    return CallableEndpoint(function, IMAGES)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_scores_of_every_floating_type_are_answers(kind, monkeypatch):
    codes = sealed.fingerprint(domain=IMAGES, count=2).samples
    shown = odd_endpoint(kind, monkeypatch).ask(codes).values
    wanted = torch.from_numpy(IMAGES.decode(codes)).flatten(1)[:, :5].to(kind).double()
    assert shown.dtype == (np.float64 if kind is torch.float64 else np.float32)
    assert np.array_equal(shown, wanted.numpy())


@pytest.mark.parametrize(
    "result",
    [
        TypeError("odd"),
        IndexError("odd"),
        AssertionError(),
        EOFError("odd"),
        SystemExit(0),
        None,
        torch.zeros(1, 5).to_sparse(),
    ],
    ids=repr,
)
def test_a_network_that_fails_gives_no_answer(result, monkeypatch):
    codes = sealed.fingerprint(domain=IMAGES, count=1).samples
    with pytest.raises(EndpointError, match=r"the network failed: \w+"):
        odd_endpoint(result, monkeypatch).ask(codes)


def test_a_server_reads_no_file_and_another_endpoint_its_own():
    assert endpoint_files("http://host/v2/models/m") == ()
    assert endpoint_files("m.onnx") == (Path("m.onnx"),)


@pytest.mark.parametrize(
    ("function", "shown"),
    [
        (lambda inputs: np.arange(len(inputs)), "labels"),
        (lambda inputs: inputs.reshape(len(inputs), -1)[:, :3], "values"),
    ],
)
def test_a_function_of_labels_or_scores_is_an_endpoint(function, shown):
    made = sealed.fingerprint()
    opened = endpoint(function, made)
    assert isinstance(opened, CallableEndpoint)
    assert len(getattr(opened.ask(made.samples), shown)) == len(made)
    assert endpoint(opened, made) is opened


def test_a_user_s_own_scheme_and_suffix_are_opened_by_what_was_registered():
    made = sealed.fingerprint()

    @register_endpoint("abacus")
    @register_endpoint(".abacus")
    def open_abacus(target, options):
        assert options.longest == 5.0
        return CallableEndpoint(lambda inputs: np.arange(len(inputs)), made.domain, name=target)

    for target in ("abacus:a", "a.abacus"):
        assert endpoint(target, made, timeout=5.0).name == target
    assert endpoint_files("abacus:a") == ()
    with pytest.raises(InvalidArgumentError):
        register_endpoint("http")


@pytest.mark.parametrize("timeout", [0.0, -1.0, np.inf, np.nan])
def test_a_timeout_is_positive_and_finite(timeout):
    with pytest.raises(InvalidArgumentError) as caught:
        endpoint("http://host/v2/models/m", sealed.fingerprint(), timeout=timeout)
    assert caught.value.field == "timeout"


def test_a_password_of_an_unknown_scheme_is_not_shown():
    with pytest.raises(InvalidArgumentError) as caught:
        endpoint("ftp://me:marker@host/x", sealed.fingerprint())
    assert "marker" not in str(caught.value)
