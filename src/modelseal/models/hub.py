"""Builds the image classifiers of torchvision, timm and transformers by name.

Nothing is ever downloaded: the weights are files of the owner's.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeAlias, cast

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from modelseal.errors import InvalidArgumentError, MissingExtraError
from modelseal.models.builder import ESCAPES, check_module, first_line

Library: TypeAlias = Any
"""The module of a library, which need not be installed."""

REFUSED = {
    "torchvision": frozenset({"weights", "weights_backbone", "pretrained", "progress"}),
    "timm": frozenset(
        {"pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path"}
    ),
    "transformers": frozenset(
        {
            *("local_files_only", "use_safetensors", "trust_remote_code", "dtype"),
            *("output_loading_info", "torch_dtype", "state_dict", "config", "subfolder"),
            *("adapter_kwargs", "weights_only", "from_tf", "from_flax", "code_revision"),
        }
    ),
}
"""The keywords of each library that would load weights from elsewhere."""


class Logits(nn.Module):
    """A classifier, of transformers, that returns its logits alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        """The scores of inputs."""
        return cast(Tensor, self.network(inputs).logits)


def build_listed(factory: str, arguments: Mapping[str, Any], *, folder: Path) -> nn.Module:
    """Builds a classifier of a library, with random weights unless it brings its own.

    The factory is `torchvision:NAME` or `timm:NAME`, or `transformers:FOLDER` for a folder that
    `save_pretrained` wrote; the arguments are keywords for the library's own builder.
    """
    name, _, classifier = factory.partition(":")
    loading = sorted(REFUSED[name] & set(arguments))
    if loading:
        raise InvalidArgumentError(
            f"expected weights out of files that are here, got arguments {', '.join(loading)}"
        )
    library = _import(name)
    try:
        network = _BUILDERS[name](library, classifier, arguments, folder)
    except InvalidArgumentError:
        raise
    except (*ESCAPES, SafetensorError) as error:
        raise InvalidArgumentError(f"{factory} failed: {first_line(error)}") from error
    return check_module(factory, network)


def _import(name: str) -> Library:
    try:
        return importlib.import_module(name)
    except ESCAPES as error:
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            raise MissingExtraError(f"a network of {name}", name) from error
        raise InvalidArgumentError(f"{name} cannot be imported: {first_line(error)}") from error


def _build_torchvision(
    library: Library, name: str, arguments: Mapping[str, Any], folder: Path
) -> object:
    models = importlib.import_module("torchvision.models")
    _check_name(name, models.list_models(module=models), "torchvision")
    return models.get_model(name, weights=None, **arguments)


def _build_timm(library: Library, name: str, arguments: Mapping[str, Any], folder: Path) -> object:
    # What stands behind the full stop says which weights are meant.
    _check_name(name.partition(".")[0], library.list_models(), "timm")
    return library.create_model(name, pretrained=False, **arguments)


def _build_transformers(
    library: Library, name: str, arguments: Mapping[str, Any], folder: Path
) -> object:
    place = folder / name
    if not (name and (place / "config.json").is_file()):
        raise InvalidArgumentError(f"expected a folder with a config.json, got {place}")
    if not list(place.glob("*.safetensors")):
        raise InvalidArgumentError(f"expected a .safetensors file in {place}, got none")
    with _quiet(library):
        network, report = library.AutoModelForImageClassification.from_pretrained(
            place,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            dtype=torch.float32,
            **arguments,
        )
    # What is missing would be drawn at random.
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if report.get(problem):
            first = sorted(map(str, report[problem]))[0]
            raise InvalidArgumentError(
                f"expected the weights of the config.json in {place} and no others, "
                f"got {problem.replace('_', ' ')} such as {first}"
            )
    return Logits(network)


@contextmanager
def _quiet(library: Library) -> Iterator[None]:
    """Loads without progress bars and reports: our own sentence says what is wrong."""
    logging = library.utils.logging
    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _check_name(name: str, known: Sequence[str], library: str) -> None:
    if name not in known:
        near = " or ".join(get_close_matches(name, known)) or f"one of {len(known)} others"
        raise InvalidArgumentError(f"expected a classifier of {library}, {near}, got {name!r}")


_BUILDERS: dict[str, Callable[[Library, str, Mapping[str, Any], Path], object]] = {
    "torchvision": _build_torchvision,
    "timm": _build_timm,
    "transformers": _build_transformers,
}
