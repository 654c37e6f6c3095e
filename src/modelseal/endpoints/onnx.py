"""An ONNX file as an endpoint, through ONNX Runtime."""

from pathlib import Path
from typing import Any

import numpy as np

from modelseal.domain import Domain
from modelseal.endpoints.encoding import ANY, InputForm, input_form
from modelseal.endpoints.endpoint import ask_in_groups
from modelseal.endpoints.responses import answer, check_shows
from modelseal.errors import BadFileError, EndpointError
from modelseal.extras import import_extra, onnx_errors
from modelseal.outputs.answers import Answers, Kind
from modelseal.types import Codes

DATATYPES = {"tensor(float)": "FP32", "tensor(double)": "FP64", "tensor(uint8)": "UINT8"}

QUIET = 4
"""ONNX Runtime's own log shows fatal errors only: it writes to the terminal what we raise."""


class OnnxEndpoint:
    """Answers with the first output of an ONNX model, run on this machine's processor.

    Args:
        path: The `.onnx` file. It has one input, whose shape is the domain's with a batch axis
            in front (of any or of a fixed size) or the same with channels last.
        domain: What a valid input is.
        shows: What an output of numbers with a fraction is; whole numbers are always labels.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        BadFileError: The file is missing or broken, or its model takes other inputs.
        InvalidArgumentError: `shows` is labels.
    """

    def __init__(self, path: Path, domain: Domain, *, shows: Kind = Kind.SCORES) -> None:
        check_shows(shows)
        self.path = path
        self.domain = domain
        self.shows = shows
        self.session = open_session(path)
        self.form = read_form(self.session, path, domain)

    def ask(self, codes: Codes) -> Answers:
        """Runs the model, in groups if its batch size is fixed.

        Raises:
            InvalidArgumentError: The codes are not valid in the domain, or there are none.
            EndpointError: The model failed or gave no usable output.
        """
        self.domain.check(codes)
        return ask_in_groups(self.run, codes, size=self.form.batch)

    def run(self, codes: Codes) -> Answers:
        """Runs the model once.

        Raises:
            EndpointError: The model failed or gave no usable output.
        """
        inputs = {self.form.name: self.form.arrange(codes, self.domain)}
        first = self.session.get_outputs()[0].name
        try:
            (output,) = self.session.run([first], inputs)
        except onnx_errors() as error:
            raise EndpointError(f"{self.path}: the model failed: {sentence(error)}") from error
        if not isinstance(output, np.ndarray):
            kind = type(output).__name__
            raise EndpointError(f"{self.path}: a tensor was wanted, but a {kind} came")
        return answer(output, count=len(codes), shows=self.shows)


def open_session(path: Path) -> Any:  # noqa: ANN401 (ONNX Runtime has no types)
    """Loads the model.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        BadFileError: The file is missing or broken.
    """
    runtime = import_extra("onnxruntime", purpose="Asking an ONNX file", extra="onnx")
    if not path.is_file():
        raise BadFileError(path, "an ONNX file was wanted, but there is none")
    options = runtime.SessionOptions()
    options.log_severity_level = QUIET
    try:
        return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except onnx_errors() as error:
        problem = f"an ONNX file was wanted, but it cannot be loaded: {sentence(error)}"
        raise BadFileError(path, problem) from error


def sentence(error: Exception) -> str:
    """The last part of an ONNX Runtime message on one line, without its error code."""
    return " ".join(str(error).rsplit(" : ", 1)[-1].split())


def read_form(session: Any, path: Path, domain: Domain) -> InputForm:  # noqa: ANN401 (no types)
    """How the model takes its inputs.

    Raises:
        BadFileError: It has another number of inputs, or they are not the domain's.
    """
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise BadFileError(path, f"a model with one input was wanted, but it has {len(inputs)}")
    (entry,) = inputs
    datatype = DATATYPES.get(entry.type, entry.type)
    # An open size is a name or nothing here.
    shape = [size if isinstance(size, int) else ANY for size in entry.shape]
    try:
        return input_form(entry.name, datatype, shape, domain)
    except EndpointError as error:
        raise BadFileError(path, str(error), field=entry.name) from error
