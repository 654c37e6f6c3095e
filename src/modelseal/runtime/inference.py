"""Running a network in pieces of one size, without leaving a trace in it."""

import copy
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from modelseal.errors import (
    FOREIGN_ERRORS,
    InvalidArgumentError,
    MissingExtraError,
    ModelsealError,
    SealingError,
    import_extra,
    onnx_errors,
)
from modelseal.types import Scores

Inputs: TypeAlias = Float[Tensor, "batch *shape"]
"""Inputs as the network takes them."""

# What a fixed size is for: a runtime takes other kernels for other batch sizes, so the last piece
# of a run must be no smaller than the rest. 32 is what many servers gather.
BATCH = 32
# Values of a batch of that size at 73 x 73: of what the first layers of a network make of larger
# images, little fits into memory. Kernels that are not oneDNN's write every window out: at
# 224 x 224 and in float64 those of 64 channels take 0.23 GB for each image.
VALUES = 2**19
# ONNX's exporter takes a batch of 1 for a constant.
_EXAMPLES = 2
# It tells of torchvision's operations, which it would know if torchvision were there.
_EXPORTERS_LOG = "torch.onnx._internal.exporter._registration"
# ONNX Runtime's own log shows fatal errors only: it writes to the terminal what we raise.
_FATAL_ONLY = 4


def run_network(
    network: nn.Module, inputs: Inputs, *, size: int | None = None, offset: int = 0
) -> Scores:
    """The scores of a network in evaluation mode, which is left as it was.

    Always `size` inputs are run at a time, by default `full_size`, after they were turned so that
    each stands `offset` places before its first one.
    """
    with evaluating(network):
        return run_pieces(network, inputs, size=size or full_size(inputs), offset=offset)


def full_size(inputs: Inputs) -> int:
    """How many inputs are run at a time if nothing is said: 32, or as many large ones as fit."""
    return max(min(BATCH, VALUES // max(inputs[:1].numel(), 1)), 1)


def usual_size(inputs: Inputs) -> int:
    """The same without filling up: no more than there are."""
    return min(full_size(inputs), len(inputs))


def run_pieces(
    function: Callable[[Tensor], object], inputs: Inputs, *, size: int = BATCH, offset: int = 0
) -> Scores:
    """The scores of a function that takes a batch of inputs; else the same as `run_network`.

    The last piece is filled up with the first inputs, again and again if need be, and turned with
    the others: whole pieces turn so that each input comes to every place of one.
    """
    count = len(inputs)
    if not count:
        raise InvalidArgumentError("expected 1 input or more, got none", field="inputs")
    places = torch.arange(-(-count // size) * size, device=inputs.device)
    rows = places.roll(-offset) % count
    with torch.inference_mode(), foreign_errors():
        pieces = [_as_scores(function(inputs[part]), size) for part in rows.reshape(-1, size)]
    return np.roll(np.concatenate(pieces), offset, axis=0)[:count]


def _as_scores(shown: object, size: int) -> Scores:
    if not isinstance(shown, Tensor) or not shown.is_floating_point() or shown.ndim != 2:
        came = list(shown.shape) if isinstance(shown, Tensor) else type(shown).__name__
        raise InvalidArgumentError(f"expected scores (batch, classes) of a network, got {came}")
    if len(shown) != size:
        raise InvalidArgumentError(f"expected {size} rows of a network, got {len(shown)}")
    exact = shown.double() if shown.dtype is torch.float64 else shown.float()
    return exact.cpu().numpy()


@contextmanager
def foreign_errors(*others: type[Exception]) -> Iterator[None]:
    """Turns FOREIGN_ERRORS, and other kinds of exceptions, into a SealingError of one sentence."""
    kinds: tuple[type[Exception], ...] = (*FOREIGN_ERRORS, *others)
    try:
        yield
    except (ModelsealError, ImportError):
        raise
    except kinds as problem:
        lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
        said = lines[0] if lines else type(problem).__name__
        raise SealingError(f"the network cannot be run in this way: {said}") from problem


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Puts every module in evaluation mode, and back afterwards."""
    modes = [(module, module.training) for module in network.modules()]
    try:
        for module, _ in modes:
            # Set directly: an exported program knows no `eval()`.
            module.training = False
        yield
    finally:
        for module, training in modes:
            module.training = training


def copy_network(network: nn.Module) -> nn.Module:
    """A copy with weights of its own, in evaluation mode and with no gradient asked of them."""
    with quiet_copies(), foreign_errors():
        copied = copy.deepcopy(network)
    for module in copied.modules():
        module.training = False
    return copied.requires_grad_(requires_grad=False)


def to_cpu(network: nn.Module, inputs: Inputs) -> tuple[nn.Module, Inputs]:
    """A network and its inputs on the CPU: themselves if the inputs are there, else copies."""
    if inputs.device.type == "cpu":
        return network, inputs
    copied = copy_network(network)
    with foreign_errors():
        return copied.to("cpu"), inputs.to("cpu")


@contextmanager
def quiet_warnings(*messages: str) -> Iterator[None]:
    """Silences warnings whose text begins with one of some regular expressions."""
    with warnings.catch_warnings():
        for message in messages:
            warnings.filterwarnings("ignore", message=message)
        yield


def quiet_copies() -> AbstractContextManager[None]:
    """Silences a warning about torch's own classes, raised when it copies an exported graph."""
    return quiet_warnings(r"`isinstance\(treespec, LeafSpec\)`")


@contextmanager
def quiet_logger(name: str) -> Iterator[None]:
    """Silences a logger about what our own sentence says."""
    logger = logging.getLogger(name)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def export_onnx(network: nn.Module, inputs: Inputs) -> bytes:
    """The network as an ONNX file that takes any number of inputs."""
    dynamic = ({0: torch.export.Dim("batch")},)
    network, first = to_cpu(network, inputs[[0] * _EXAMPLES])
    try:
        with evaluating(network), quiet_copies(), quiet_logger(_EXPORTERS_LOG), foreign_errors():
            program = torch.onnx.export(
                network, (first,), dynamo=True, verbose=False, external_data=False,
                input_names=["inputs"], output_names=["scores"], dynamic_shapes=dynamic,
            )  # fmt: skip
    except ImportError as problem:
        raise MissingExtraError("Exporting a network to ONNX", "export") from problem
    if program is None:
        raise SealingError("the network cannot be exported to ONNX")
    return cast(bytes, program.model_proto.SerializeToString())


def open_session(program: bytes, *, level: str = "ENABLE_ALL") -> Any:  # noqa: ANN401 (no types)
    """An ONNX file in ONNX Runtime on the processor, with as many threads as torch uses."""
    runtime = import_extra(
        "onnxruntime", purpose="Running a network in ONNX Runtime", extra="export"
    )
    options = runtime.SessionOptions()
    with foreign_errors(*onnx_errors()):
        # Older runtimes lack a level.
        options.graph_optimization_level = getattr(runtime.GraphOptimizationLevel, f"ORT_{level}")
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = _FATAL_ONLY
        return runtime.InferenceSession(program, options, providers=["CPUExecutionProvider"])


# A backward pass multiplies by every weight twice: for its input's gradient and its own.
_BACKWARD = 2.0


class Counter:
    """Counts the inputs that go forward and backward; copies of a network share it."""

    def __init__(self) -> None:
        self.forward = 0
        self.backward = 0

    @property
    def work(self) -> float:
        """All of it in forward passes of one input."""
        return self.forward + _BACKWARD * self.backward

    def __deepcopy__(self, memo: dict[int, object]) -> "Counter":
        return self

    def __call__(self, network: nn.Module, inputs: tuple[Tensor, ...], scores: object) -> None:
        """Is called after every forward pass, but not by what a compiler or exporter runs."""
        if torch.compiler.is_compiling() or not isinstance(scores, Tensor):
            return
        whole = _unwrap(scores)
        self.forward += _count_rows(whole)
        if whole.requires_grad:
            whole.register_hook(self._back)

    def _back(self, gradient: Tensor) -> None:
        self.backward += _count_rows(_unwrap(gradient))


def _unwrap(scores: Tensor) -> Tensor:
    """The scores of all inputs where `torch.func.vmap` shows those of one."""
    while torch._C._functorch.is_batchedtensor(scores):
        scores = torch._C._functorch.get_unwrapped(scores)
    return scores


def _count_rows(scores: Tensor) -> int:
    return scores.numel() // scores.shape[-1]


@contextmanager
def counting(network: nn.Module) -> Iterator[Counter]:
    """Counts what a network, and every copy that is made of it meanwhile, is asked.

    Examples:
        >>> network = nn.Linear(2, 3)
        >>> with counting(network) as counter:
        ...     scores = network(torch.zeros(4, 2))
        >>> counter.work
        4.0
    """
    counter = Counter()
    hook = network.register_forward_hook(counter)
    try:
        yield counter
    finally:
        hook.remove()
