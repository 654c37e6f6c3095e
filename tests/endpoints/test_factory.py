import sys

import numpy as np
import pytest
import sealed
import torch
from refusals import refuses
from torch import nn

from modelseal.domain import Domain
from modelseal.endpoints.endpoint import CallableEndpoint
from modelseal.endpoints.factory import endpoint, endpoint_files, endpoint_name, register_endpoint
from modelseal.endpoints.oip.grpc import OipGrpcEndpoint
from modelseal.endpoints.oip.rest import OipEndpoint
from modelseal.endpoints.recorded import RecordedEndpoint, record
from modelseal.errors import BadFileError, EndpointError, InvalidArgumentError, MissingExtraError
from modelseal.models import loader
from modelseal.models.loader import Model
from modelseal.outputs.answers import Kind
from modelseal.outputs.specs import Probabilities, RawScores, TopLabels, TopProbabilities

IMAGES = Domain(shape=(1, 8, 8))
MADE = sealed.fingerprint(domain=IMAGES, classes=5, count=2)
HTTP = "http://host/v2/models/m"


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        *((TopLabels(3), Kind.SCORES), (RawScores(0.5), Kind.SCORES)),
        *((Probabilities(3), Kind.PROBABILITIES), (TopProbabilities(2, 3), Kind.PROBABILITIES)),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("address", "client"),
    [
        *((HTTP, OipEndpoint), ("https://host:8000/v2/models/m", OipEndpoint)),
        *(("grpc://host:8001/m", OipGrpcEndpoint), ("grpcs://host:8001/m/3", OipGrpcEndpoint)),
    ],
)
def test_an_address_is_asked_by_its_client_for_what_the_fingerprint_expects(
    address, client, spec, kind
):
    made = sealed.fingerprint(spec=spec)
    opened = endpoint(address, made)
    assert isinstance(opened, client)
    assert (opened.name, opened.domain, opened.shows) == (address, made.domain, kind)
    assert endpoint(address, made, shows=Kind.SCORES).shows is Kind.SCORES
    assert (endpoint_files(address), endpoint_name(address)) == ((), address)


def test_a_file_of_recorded_answers_is_looked_up(tmp_path):
    record(MADE.expected, tmp_path / "answers.JSONL")
    opened = endpoint(tmp_path / "answers.JSONL", MADE)
    assert isinstance(opened, RecordedEndpoint)
    assert np.array_equal(opened.ask(MADE.samples).labels, MADE.expected.labels)
    assert endpoint_files(opened.name) == (tmp_path / "answers.JSONL",)


@pytest.mark.parametrize(
    "name", ["model", "x.seal", "ftp://me:marker@host/v2/models/m", "", "HTTP://h"]
)
def test_another_name_is_refused_without_the_password_in_it(name):
    with refuses(InvalidArgumentError, field="endpoint") as caught:
        endpoint(name, MADE)
    assert "marker" not in str(caught.value)


@pytest.mark.parametrize("name", ["missing.toml", "missing.onnx", "m.Onnx", "m.JSONL"])
def test_a_missing_file_is_refused_whatever_the_case_of_its_ending(tmp_path, name):
    with refuses(BadFileError, file=tmp_path / name):
        endpoint(tmp_path / name, MADE)


def test_an_address_is_shown_without_user_and_password():
    assert endpoint_name("http://me:secret@host/v2/models/m") == HTTP
    assert endpoint_name("a@b.onnx") == "a@b.onnx"


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


@pytest.fixture
def model_endpoint(tmp_path, monkeypatch):
    """The endpoint of a model.toml whose network gives this result."""

    def build(result, made=MADE):
        (tmp_path / "model.toml").touch()
        model = Model(network=Odd(result).eval(), domain=IMAGES)
        monkeypatch.setattr(loader, "load_model", lambda path: model)
        return endpoint(tmp_path / "model.toml", made)

    return build


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_a_model_answers_with_its_scores_of_every_floating_type(model_endpoint, kind):
    shown = model_endpoint(kind).ask(MADE.samples).values
    wanted = torch.from_numpy(IMAGES.decode(MADE.samples)).flatten(1)[:, :5].to(kind).double()
    assert shown.dtype == (np.float64 if kind is torch.float64 else np.float32)
    assert np.array_equal(shown, wanted.numpy())


@pytest.mark.parametrize(
    "result",
    [
        *(TypeError("odd"), IndexError("odd"), AssertionError(), EOFError("odd"), SystemExit(0)),
        *(None, torch.zeros(1, 5).to_sparse()),
    ],
    ids=repr,
)
def test_a_network_that_fails_gives_no_answer(model_endpoint, result):
    with pytest.raises(EndpointError, match=r"the network failed: \w+"):
        model_endpoint(result).ask(MADE.samples)


@pytest.mark.parametrize(
    "domain",
    [
        Domain(shape=(8, 8)),
        Domain(shape=(1, 8, 8), bounds=(-1.0, 1.0)),
        Domain(shape=(1, 8, 8), levels=0),
    ],
    ids=str,
)
def test_a_model_of_other_inputs_than_the_sealed_one_is_refused(model_endpoint, domain):
    with refuses(BadFileError, field="input"):
        model_endpoint(torch.float32, sealed.fingerprint(domain=domain))


def test_a_model_without_torch_asks_for_the_extra(model_endpoint, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"modelseal\[seal\]"):
        model_endpoint(torch.float32)


@pytest.mark.parametrize(
    ("function", "shown"),
    [
        (lambda inputs: np.arange(len(inputs)), "labels"),
        (lambda inputs: inputs.reshape(len(inputs), -1)[:, :3], "values"),
    ],
)
def test_a_function_of_labels_or_scores_is_an_endpoint(function, shown):
    opened = endpoint(function, MADE)
    assert isinstance(opened, CallableEndpoint)
    assert len(getattr(opened.ask(MADE.samples), shown)) == len(MADE)
    assert endpoint(opened, MADE) is opened


def test_a_user_s_own_scheme_and_suffix_are_opened_by_what_was_registered():
    @register_endpoint("abacus")
    @register_endpoint(".abacus")
    def open_abacus(target, options):
        assert options.longest == 5.0
        return CallableEndpoint(lambda inputs: np.arange(len(inputs)), IMAGES, name=target)

    for target in ("abacus:a", "a.abacus"):
        assert endpoint(target, MADE, timeout=5.0).name == target
    assert endpoint_files("abacus:a") == ()
    with refuses(InvalidArgumentError):
        register_endpoint("http")
