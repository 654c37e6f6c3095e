import sys

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save
from refusals import refuses

from modelseal.domain import Domain
from modelseal.endpoints.onnx import OnnxEndpoint
from modelseal.errors import BadFileError, EndpointError, InvalidArgumentError, MissingExtraError
from modelseal.outputs.answers import Kind

DOMAIN = Domain(shape=(2, 3, 4))
CODES = np.random.default_rng(0).integers(0, 256, (5, 2, 3, 4), dtype=np.uint8)
WEIGHTS = np.random.default_rng(1).normal(size=(24, 6)).astype(np.float32)


@pytest.fixture
def onnx_file(tmp_path):
    """Writes a model: nodes after the input `x`, to the output `y`."""

    def write(nodes=None, *, shape=("n", 2, 3, 4), takes=TensorProto.FLOAT, **more):
        nodes = nodes or [
            helper.make_node("Flatten", ["x"], ["flat"]),
            helper.make_node("Cast", ["flat"], ["cast"], to=TensorProto.FLOAT),
            helper.make_node("MatMul", ["cast", "w"], ["y"]),
        ]
        entries = [helper.make_tensor_value_info("x", takes, shape), *more.get("inputs", [])]
        output = more.get("output") or helper.make_empty_tensor_value_info("y")
        constants = [numpy_helper.from_array(WEIGHTS, "w")]
        graph = helper.make_graph(nodes, "g", entries, [output], constants)
        opsets = [helper.make_opsetid("", 17)]
        path = tmp_path / "model.onnx"
        save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
        return path

    return write


def scores_of(inputs):
    return inputs.reshape(len(inputs), -1).astype(np.float64) @ WEIGHTS


@pytest.mark.parametrize(
    ("takes", "inputs"),
    [
        (TensorProto.FLOAT, DOMAIN.decode(CODES)),
        (TensorProto.DOUBLE, DOMAIN.decode(CODES)),
        (TensorProto.UINT8, CODES),
    ],
)
@pytest.mark.parametrize("batch", ["n", None, 1, 2, 5, 8])
def test_scores_are_those_of_the_network_whatever_it_takes(onnx_file, takes, inputs, batch):
    endpoint = OnnxEndpoint(onnx_file(takes=takes, shape=(batch, 2, 3, 4)), DOMAIN)
    shown = endpoint.ask(CODES)
    assert shown.kind is Kind.SCORES
    assert shown.values.dtype == np.float32
    np.testing.assert_allclose(shown.values, scores_of(inputs), rtol=1e-5, atol=1e-3)


def test_a_whole_numbers_output_is_labels(onnx_file):
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["y"], axis=1, keepdims=0),
    ]
    shown = OnnxEndpoint(onnx_file(nodes), DOMAIN).ask(CODES)
    assert shown.kind is Kind.LABELS
    assert shown.labels[:, 0].tolist() == scores_of(DOMAIN.decode(CODES)).argmax(1).tolist()


@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_a_broken_or_missing_file_is_said_in_one_line(tmp_path, capfd, content):
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with refuses(BadFileError, file=path):
        OnnxEndpoint(path, DOMAIN)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("model", "field"),
    [
        ({"shape": ("n", 2, 4, 3)}, "x"),
        ({"takes": TensorProto.INT64}, "x"),
        ({"inputs": [helper.make_tensor_value_info("z", TensorProto.FLOAT, (1,))]}, ""),
    ],
)
def test_a_model_for_other_inputs_is_refused_when_it_is_opened(onnx_file, model, field):
    with refuses(BadFileError, field=field):
        OnnxEndpoint(onnx_file(**model), DOMAIN)


def test_a_model_that_fails_gives_no_answer(onnx_file):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]  # 4 columns against 24 rows
    path = onnx_file(nodes, shape=("n", "c", "h", "v"))
    with pytest.raises(EndpointError, match=r"model\.onnx: the model failed: "):
        OnnxEndpoint(path, DOMAIN).ask(CODES)


def test_an_output_that_is_no_tensor_is_no_answer(onnx_file):
    nodes = [helper.make_node("SequenceConstruct", ["x"], ["y"])]
    output = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
    with pytest.raises(EndpointError, match="got a list"):
        OnnxEndpoint(onnx_file(nodes, output=output), DOMAIN).ask(CODES)


def test_wrong_use_is_the_callers_mistake(onnx_file):
    with refuses(InvalidArgumentError, field="shows"):
        OnnxEndpoint(onnx_file(), DOMAIN, shows=Kind.LABELS)


def test_without_onnx_runtime_the_extra_is_named(onnx_file, monkeypatch):
    path = onnx_file()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r'pip install "modelseal\[onnx\]"'):
        OnnxEndpoint(path, DOMAIN)
