from pathlib import Path

import numpy as np
import pytest

from modelseal.domain import Domain
from modelseal.endpoints.endpoint import CallableEndpoint, Endpoint
from modelseal.endpoints.http import HttpEndpoint
from modelseal.endpoints.oip.grpc_client import OipGrpcEndpoint
from modelseal.endpoints.oip.rest_client import OipEndpoint
from modelseal.endpoints.onnx import OnnxEndpoint
from modelseal.endpoints.recorded import RecordedEndpoint
from modelseal.endpoints.sagemaker import SageMakerEndpoint
from modelseal.endpoints.subprocess import CommandEndpoint
from modelseal.outputs.answers import Answers, Kind

KINDS = [
    CommandEndpoint,
    HttpEndpoint,
    CallableEndpoint,
    OipEndpoint,
    OipGrpcEndpoint,
    OnnxEndpoint,
    RecordedEndpoint,
    SageMakerEndpoint,
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_endpoint_can_be_asked(kind):
    assert isinstance(kind.__new__(kind), Endpoint)


def test_a_users_own_class_with_the_one_method_is_an_endpoint():
    class Constant:
        def ask(self, codes):
            return Answers(kind=Kind.LABELS, labels=np.zeros((len(codes), 1), np.int64))

    assert isinstance(Constant(), Endpoint)


def test_what_cannot_be_asked_is_no_endpoint():
    assert not isinstance(Path(), Endpoint)
    assert not isinstance(Domain(shape=(1,)), Endpoint)
