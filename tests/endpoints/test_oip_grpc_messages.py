import sys

import pytest
from canned_grpc import official
from google.protobuf import descriptor_pb2

from modelseal.endpoints.oip import grpc_codec
from modelseal.endpoints.oip.grpc_codec import MESSAGES, SERVICE, describe_file, messages, parse
from modelseal.errors import EndpointError, MissingExtraError

THEIRS = {
    "Contents": [official.InferTensorContents],
    "Tensor": [
        official.ModelInferRequest.InferInputTensor,
        official.ModelInferResponse.InferOutputTensor,
    ],
    **{name: [getattr(official, name)] for name in MESSAGES if name.startswith("Model")},
}
"""What the protocol's own description calls our messages."""


@pytest.mark.parametrize("name", MESSAGES)
def test_every_field_is_that_of_the_protocols_own_description(name):
    file = descriptor_pb2.FileDescriptorProto.FromString(describe_file())
    (ours,) = [message for message in file.message_type if message.name == name]
    assert ours.field
    for theirs in THEIRS[name]:
        for field in ours.field:
            same = theirs.DESCRIPTOR.fields_by_name[field.name]
            repeated = field.label == descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
            assert (field.number, field.type) == (same.number, same.type)
            assert repeated == same.is_repeated


def test_a_tensor_of_metadata_is_the_beginning_of_one_of_a_response():
    theirs = official.ModelMetadataResponse.TensorMetadata.DESCRIPTOR
    for number, name, _, _ in MESSAGES["Tensor"][:3]:
        assert theirs.fields_by_name[name].number == number


def test_the_service_is_called_as_the_protocol_calls_it():
    assert official.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name == SERVICE


def test_fields_that_we_leave_out_are_skipped():
    said = official.ModelInferResponse(id="r")
    said.parameters["anything"].int64_param = 3
    assert parse(messages().infer_response, said.SerializeToString()).id == "r"


@pytest.mark.parametrize(
    "body", [b"<html>", b"\x0a\xff", b"\x0a\x02\xff\xfe", b"{}", b"\0" * 64], ids=repr
)
def test_what_is_no_such_message_is_refused(body):
    message = f"a ModelInferResponse was wanted, but {len(body)} other bytes came"
    with pytest.raises(EndpointError, match=message):
        parse(messages().infer_response, body)


def test_without_protobuf_the_extra_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.protobuf.descriptor_pool", None)
    messages.cache_clear()
    with pytest.raises(MissingExtraError, match=r"over gRPC needs an extra: .*modelseal\[grpc\]"):
        grpc_codec.messages()
