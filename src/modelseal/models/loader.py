"""Reads a file of weights and puts them into a network, all or nothing."""

import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from modelseal.domain import Domain
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.models.builder import ESCAPES, Program, build_network, first_line, read_program
from modelseal.models.hub import build_listed
from modelseal.models.model_toml import (
    Declaration,
    InputSection,
    ModelSection,
    is_listed,
    read_declaration,
)
from modelseal.models.transforms import Filter, Normalised, Resized, Resizing
from modelseal.runtime.devices import device_of, find_device, settle_network


def read_weights(path: Path) -> dict[str, Tensor]:
    """Reads tensors by name, without running any code of the file.

    Args:
        path: A `.safetensors` file, or a `.pt` or `.pth` file that holds a state dict.

    Raises:
        InvalidArgumentError: The file cannot be read as such.
    """
    if not path.is_file():
        raise InvalidArgumentError(f"there is no file {path}")
    match path.suffix.lower():
        case ".safetensors":
            return _read_safetensors(path)
        case ".pt" | ".pth":
            return _read_state_dict(path)
    raise InvalidArgumentError(
        f"a .safetensors, .pt or .pth file is needed, but this is {path.name}"
    )


def put_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Sets every parameter and buffer of a network.

    Raises:
        InvalidArgumentError: A tensor is missing, unknown or of another shape.
    """
    own = network.state_dict()
    for name, tensor in weights.items():
        if name in own and own[name].shape != tensor.shape:
            raise InvalidArgumentError(
                f"the network needs {name} of shape {list(own[name].shape)}, "
                f"but the file has {list(tensor.shape)}"
            )
    missing, unexpected = network.load_state_dict(weights, strict=False)
    if missing:
        raise InvalidArgumentError(f"the file lacks {_list(missing)}, which the network needs")
    if unexpected:
        raise InvalidArgumentError(f"the file has {_list(unexpected)}, unknown to the network")


def check_weights(network: nn.Module) -> None:
    """Makes sure that every parameter and BatchNorm statistic is a finite number.

    Raises:
        InvalidArgumentError: One is not.
    """
    # Other buffers may hold infinities for a reason, such as the mask of an attention layer.
    statistics = ((name, buffer) for name, buffer in network.named_buffers() if "running_" in name)
    for name, tensor in (*network.named_parameters(), *statistics):
        if not bool(tensor.isfinite().all()):
            raise InvalidArgumentError(f"{name} holds an infinity or NaN")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InvalidArgumentError(f"{path.name} is no safetensors file: {error}") from error


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
        raise InvalidArgumentError(f"{path.name} needs a state dict: tensors by name, no more")
    return dict(content)


def _list(names: list[str]) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """The owner's network, ready to run.

    Args:
        network: Takes float32 inputs inside the domain's bounds, (batch, *shape), and returns
            scores (batch, classes). In evaluation mode, with no gradient asked of its weights;
            the normalisation is part of it.
        domain: What a valid input is.
        names: The classes' names; empty if none were given.
    """

    network: nn.Module
    domain: Domain
    names: tuple[str, ...] = ()


def load_model(path: Path | str) -> Model:
    """Builds the owner's network as a model.toml says. This runs the owner's code.

    Torch multiplies float32 as float32 from then on in this process, which it does not do by
    default on GPUs.

    Args:
        path: The model.toml. Files in it are relative to it, and a factory's module is looked
            for beside it, then where Python looks for modules.

    Raises:
        BadFileError: Something in it, or in a file it names, is wrong; `field` says what.
    """
    path = Path(path)
    declaration = read_declaration(path)
    domain = _domain(path, declaration.input)
    with _blames(path, "model.device"):
        device = find_device(declaration.model.device) if declaration.model.device else None
    network = _network(path, declaration.model)
    with _blames(path, declaration.model.weighing):
        check_weights(network)
    network = _resized(path, _normalised(path, network, declaration.input), declaration.input)
    network = settle_network(network.eval().requires_grad_(requires_grad=False), device)
    with _blames(path, "model"):
        classes = _count_classes(network, domain)
    return Model(network=network, domain=domain, names=_names(path, declaration, classes))


@contextmanager
def _blames(file: Path, field: str) -> Iterator[None]:
    """Says in which field of the file the problem lies."""
    try:
        yield
    except InvalidArgumentError as error:
        raise BadFileError(file, str(error), field=field) from error


def _domain(path: Path, section: InputSection) -> Domain:
    low, high = section.bounds
    with _blames(path, "input"):
        return Domain(shape=tuple(section.shape), bounds=(low, high), levels=section.levels)


def _network(path: Path, section: ModelSection) -> nn.Module:
    if section.factory is not None:
        with _blames(path, "model.factory"):
            build = build_listed if is_listed(section.factory) else build_network
            network = build(section.factory, section.arguments, folder=path.parent)
    else:
        with _blames(path, "model.program"):
            network = read_program(path.parent / str(section.program))
    if section.weights is not None:
        # A program's own names are those of its graph.
        named = network.graph if isinstance(network, Program) else network
        with _blames(path, "model.weights"):
            put_weights(named, read_weights(path.parent / section.weights))
    return network


def _normalised(path: Path, network: nn.Module, section: InputSection) -> nn.Module:
    if section.mean is None or section.std is None:
        return network
    with _blames(path, "input.std"):
        return Normalised(network, mean=section.mean, std=section.std)


def _resized(path: Path, network: nn.Module, section: InputSection) -> nn.Module:
    if section.resize is None and section.crop is None:
        return network
    low, high = section.bounds
    with _blames(path, "input"):
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
            "the network needs to return one row of two or more scores for each input, "
            f"but returned {[alone, classes]} for one and {list(together)} for two"
        )
    return classes


def _run(network: nn.Module, inputs: Tensor) -> Tensor:
    wanted = f"the network needs to take inputs of shape {list(inputs.shape)}"
    try:
        with torch.no_grad():
            scores: object = network(inputs)
    except ESCAPES as error:
        hint = "; an exported program needs a dynamic batch axis" if len(inputs) > 1 else ""
        raise InvalidArgumentError(
            f"{wanted}, but failed with {first_line(error)}{hint}"
        ) from error
    if not isinstance(scores, Tensor) or not scores.is_floating_point() or scores.ndim != 2:
        what = type(scores).__name__
        if isinstance(scores, Tensor):
            what = f"{scores.dtype} of {list(scores.shape)}"
        raise InvalidArgumentError(
            "the network needs to return one tensor of scores (batch, classes), "
            f"but returned {what}"
        )
    if not bool(scores.isfinite().all()):
        raise InvalidArgumentError("the network needs to return finite scores, but one is not")
    return scores


def _names(path: Path, declaration: Declaration, classes: int) -> tuple[str, ...]:
    """The classes' names, as many as there are classes; none if no file is given."""
    if declaration.output.classes is None:
        return ()
    file = path.parent / declaration.output.classes
    with _blames(path, "output.classes"):
        try:
            names = tuple(line.strip() for line in file.read_text(encoding="utf-8").splitlines())
        except OSError as error:
            raise InvalidArgumentError(f"{file} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise InvalidArgumentError(f"{file} is no text in UTF-8") from error
        if len(names) != classes or not all(names):
            raise InvalidArgumentError(
                f"{classes} names are needed, one a line, but {file.name} has "
                f"{sum(map(bool, names))} in {len(names)} lines"
            )
    return names
