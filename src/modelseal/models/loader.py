"""The owner's network, ready to run, as a model.toml says; its weights all or nothing."""

import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.fx import GraphModule

from modelseal.domain import Domain
from modelseal.errors import BadFileError, EndpointError, InvalidArgumentError
from modelseal.models.builder import (
    ESCAPES,
    Program,
    build_listed,
    build_network,
    first_line,
    read_program,
)
from modelseal.models.model_toml import (
    InputSection,
    ModelSection,
    ModelToml,
    is_listed,
    read_model_toml,
)
from modelseal.models.transforms import Filter, Normalised, Resized, Resizing
from modelseal.runtime.devices import device_of, find_device, settle_network
from modelseal.settings import read_lines
from modelseal.types import Inputs, Scores


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """The owner's network, ready to run.

    Args:
        network: Takes float32 inputs inside the domain's bounds, (batch, *shape), and returns
            scores (batch, classes). In evaluation mode, with no gradient asked of its weights;
            the normalisation is part of it.
        domain: What a valid input is.
        names: The classes' names; empty if none were given.
        source: The model.toml that it was loaded from, if it was; other processes load it again.

    Raises:
        InvalidArgumentError: The network, or a part of it, is in training mode.
    """

    network: nn.Module
    domain: Domain
    names: tuple[str, ...] = ()
    source: Path | None = None

    def __post_init__(self) -> None:
        modules = set(self.network.modules())
        # An exported program says that it trains, but does not, and cannot be told otherwise.
        for graph in list(modules):
            if isinstance(graph, GraphModule) and "eval" in vars(graph):
                modules -= set(graph.modules())
        # In training mode one input's scores depend on the others', and on chance.
        if any(module.training for module in modules):
            raise InvalidArgumentError(
                "expected a network in evaluation mode, got one in training mode: call its eval()",
                field="network",
            )


def load_model(path: Path | str) -> Model:
    """Builds the owner's network as a model.toml says. This runs the owner's code.

    Torch multiplies float32 as float32 from then on in this process, which it does not do by
    default on GPUs.

    Args:
        path: The model.toml. Files in it are relative to it, and a factory's module is looked
            for beside it, then where Python looks for modules.

    Raises:
        BadFileError: Something in it, or in a file it names, is wrong; `field` says what.
        MissingExtraError: The library of its network is not installed.
    """
    path = Path(path)
    whole = read_model_toml(path)
    low, high = whole.input.bounds
    with _blaming(path, "input"):
        shape = tuple(whole.input.shape)
        domain = Domain(shape=shape, bounds=(low, high), levels=whole.input.levels)
    with _blaming(path, "model.device"):
        device = find_device(whole.model.device) if whole.model.device else None
    network = _build(path, whole.model)
    with _blaming(path, whole.model.weights_key):
        check_weights(network)
    network = _transform(path, network, whole.input)
    network = settle_network(network.eval().requires_grad_(requires_grad=False), device)
    with _blaming(path, "model"):
        classes = _count_classes(network, domain)
    return Model(network, domain, _names(path, whole, classes), source=path.resolve())


@contextmanager
def _blaming(file: Path, field: str) -> Iterator[None]:
    """Says in which field of the file the problem lies."""
    try:
        yield
    except InvalidArgumentError as error:
        raise BadFileError(file, str(error), field=field) from error


def _build(path: Path, section: ModelSection) -> nn.Module:
    if section.factory is not None:
        with _blaming(path, "model.factory"):
            build = build_listed if is_listed(section.factory) else build_network
            network = build(section.factory, section.arguments, folder=path.parent)
    else:
        with _blaming(path, "model.program"):
            network = read_program(path.parent / str(section.program))
    if section.weights is not None:
        # A program's own names are those of its graph.
        named = network.graph if isinstance(network, Program) else network
        with _blaming(path, "model.weights"):
            put_weights(named, read_weights(path.parent / section.weights))
    return network


def _transform(path: Path, network: nn.Module, section: InputSection) -> nn.Module:
    """The network behind the normalisation and the resizing of the inputs, if there are any."""
    if section.mean is not None and section.std is not None:
        with _blaming(path, "input.std"):
            network = Normalised(network, mean=section.mean, std=section.std)
    if section.resize is None and section.crop is None:
        return network
    low, high = section.bounds
    with _blaming(path, "input"):
        resizing = Resizing(
            shape=tuple(section.shape),
            bounds=(low, high),
            resize=_pair(section.resize),
            crop=_pair(section.crop),
            filter=Filter(section.filter),
        )
    return Resized(network, resizing)


def _pair(sizes: list[int] | None) -> tuple[int, int] | None:
    return None if sizes is None else (sizes[0], sizes[1])


def _count_classes(network: nn.Module, domain: Domain) -> int:
    """Runs one grey input, then two, and looks at what comes out."""
    middle = sum(domain.bounds) / 2
    grey = torch.full((2, *domain.shape), middle, device=device_of(network))
    alone, classes = _run(network, grey[:1]).shape
    together = _run(network, grey).shape
    if alone != 1 or classes < 2 or together != (2, classes):
        raise InvalidArgumentError(
            "expected one row of two or more scores for each input, "
            f"got {[alone, classes]} for one and {list(together)} for two"
        )
    return classes


def _run(network: nn.Module, inputs: Tensor) -> Tensor:
    try:
        with torch.no_grad():
            scores: object = network(inputs)
    except ESCAPES as error:
        hint = "; an exported program needs a dynamic batch axis" if len(inputs) > 1 else ""
        raise InvalidArgumentError(
            f"expected a network of inputs of shape {list(inputs.shape)}, "
            f"got {first_line(error)}{hint}"
        ) from error
    if not isinstance(scores, Tensor) or not scores.is_floating_point() or scores.ndim != 2:
        what = type(scores).__name__
        if isinstance(scores, Tensor):
            what = f"{scores.dtype} of {list(scores.shape)}"
        raise InvalidArgumentError(
            f"expected one tensor of scores (batch, classes) of the network, got {what}"
        )
    if not bool(scores.isfinite().all()):
        raise InvalidArgumentError("expected finite scores of the network, got others")
    return scores


def _names(path: Path, whole: ModelToml, classes: int) -> tuple[str, ...]:
    if whole.output.classes is None:
        return ()
    names = read_lines(path.parent / whole.output.classes)
    if len(names) != classes or not all(names):
        raise BadFileError(
            path,
            f"expected {classes} names, one a line, in {whole.output.classes}, got "
            f"{sum(map(bool, names))} in {len(names)} lines",
            field="output.classes",
        )
    return names


def score_function(path: Path, domain: Domain) -> Callable[[Inputs], Scores]:
    """The network of a model.toml as a function from inputs to scores: what an endpoint calls."""
    model = load_model(path)
    if model.domain != domain:
        raise BadFileError(path, f"expected {domain}, as sealed, got {model.domain}", field="input")
    device = device_of(model.network)

    def run(inputs: Inputs) -> Scores:
        try:
            with torch.no_grad():
                scores = model.network(torch.from_numpy(inputs).to(device)).cpu()
            # numpy lacks some of torch's types, such as bfloat16; float32 holds all but float64.
            wide = scores if scores.dtype == torch.float64 else scores.float()
            return cast(Scores, wide.numpy())
        except ESCAPES as error:
            raise EndpointError(f"the network failed: {first_line(error)}") from error

    return run


def read_weights(path: Path) -> dict[str, Tensor]:
    """Reads tensors by name out of a `.safetensors`, `.pt` or `.pth` file, without running code."""
    if not path.is_file():
        raise InvalidArgumentError(f"there is no file {path}")
    match path.suffix.lower():
        case ".safetensors":
            try:
                return load_file(path)
            except (SafetensorError, OSError) as error:
                raise InvalidArgumentError(
                    f"{path.name} is no safetensors file: {error}"
                ) from error
        case ".pt" | ".pth":
            return _read_state_dict(path)
    raise InvalidArgumentError(f"expected a .safetensors, .pt or .pth file, got {path.name}")


def _read_state_dict(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise InvalidArgumentError(
            f"{path.name} cannot be read as tensors alone (torch.load with weights_only)"
        ) from error
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in content.items()
    ):
        raise InvalidArgumentError(
            f"expected a state dict in {path.name}, tensors by name and no more, got something else"
        )
    return dict(content)


def put_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Sets every parameter and buffer of a network; none may be missing, unknown or misshapen."""
    own = network.state_dict()
    for name, tensor in weights.items():
        if name in own and own[name].shape != tensor.shape:
            raise InvalidArgumentError(
                f"expected {name} of shape {list(own[name].shape)}, got {list(tensor.shape)}"
            )
    missing, unexpected = network.load_state_dict(weights, strict=False)
    if missing:
        raise InvalidArgumentError(f"the file lacks {_first(missing)}, which the network needs")
    if unexpected:
        raise InvalidArgumentError(f"the file has {_first(unexpected)}, unknown to the network")


def _first(names: list[str]) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def check_weights(network: nn.Module) -> None:
    """Makes sure that every parameter and BatchNorm statistic is a finite number."""
    # Other buffers may hold infinities for a reason, such as the mask of an attention layer.
    statistics = ((name, buffer) for name, buffer in network.named_buffers() if "running_" in name)
    for name, tensor in (*network.named_parameters(), *statistics):
        if not bool(tensor.isfinite().all()):
            raise InvalidArgumentError(f"expected finite numbers in {name}, got an infinity or NaN")
