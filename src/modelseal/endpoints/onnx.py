"""An ONNX file as an endpoint, through ONNX Runtime."""

from pathlib import Path
from typing import Any

import numpy as np

from modelseal.domain import Domain
from modelseal.endpoints.endpoint import BaseEndpoint
from modelseal.endpoints.requests import ANY, TensorFormat, tensor_format
from modelseal.endpoints.responses import array_answers, check_shows
from modelseal.errors import BadFileError, EndpointError, import_extra, onnx_errors
from modelseal.outputs.answers import Answers, Kind
from modelseal.types import Codes

_DATATYPES = {"tensor(float)": "FP32", "tensor(double)": "FP64", "tensor(uint8)": "UINT8"}

# ONNX Runtime's own log shows fatal errors only: it writes to the terminal what we raise.
_QUIET = 4


class OnnxEndpoint(BaseEndpoint):
    """Answers with the first output of an ONNX model, run on this machine's processor."""

    def __init__(self, path: Path, domain: Domain, *, shows: Kind = Kind.SCORES) -> None:
        check_shows(shows)
        super().__init__(str(path), domain)
        self.shows = shows
        self._session = _open_session(path)
        self._format = _read_format(self._session, path, domain)

    def _batch_size(self) -> int:
        return self._format.batch

    def _ask_batch(self, codes: Codes) -> Answers:
        inputs = {self._format.name: self._format.arrange(codes, self.domain)}
        first = self._session.get_outputs()[0].name
        try:
            (output,) = self._session.run([first], inputs)
        except onnx_errors() as error:
            raise EndpointError(f"the model failed: {_last_part(error)}") from error
        if not isinstance(output, np.ndarray):
            raise EndpointError(f"expected a tensor, got a {type(output).__name__}")
        return array_answers(output, count=len(codes), shows=self.shows)


def _open_session(path: Path) -> Any:  # noqa: ANN401 (ONNX Runtime has no types)
    runtime = import_extra("onnxruntime", purpose="Asking an ONNX file", extra="onnx")
    if not path.is_file():
        raise BadFileError(path, "expected an ONNX file, got none")
    options = runtime.SessionOptions()
    options.log_severity_level = _QUIET
    try:
        return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except onnx_errors() as error:
        raise BadFileError(path, f"expected an ONNX file: {_last_part(error)}") from error


def _last_part(error: Exception) -> str:
    """The last part of an ONNX Runtime message on one line, without its error code."""
    return " ".join(str(error).rsplit(" : ", 1)[-1].split())


def _read_format(session: Any, path: Path, domain: Domain) -> TensorFormat:  # noqa: ANN401
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise BadFileError(path, f"expected a model with one input, got {len(inputs)}")
    (entry,) = inputs
    # An open size is a name or nothing here.
    shape = [size if isinstance(size, int) else ANY for size in entry.shape]
    try:
        return tensor_format(entry.name, _DATATYPES.get(entry.type, entry.type), shape, domain)
    except EndpointError as error:
        raise BadFileError(path, str(error), field=entry.name) from error
