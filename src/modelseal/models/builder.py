"""Builds a network from the owner's code, an exported program, or torchvision, timm, transformers.

Nothing is ever downloaded: the weights are files of the owner's.
"""

import copy
import importlib
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias, cast

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.utils._pytree import tree_map

from modelseal.errors import FOREIGN_ERRORS, InvalidArgumentError, MissingExtraError
from modelseal.runtime.devices import device_of
from modelseal.runtime.inference import quiet_copies, quiet_logger

ESCAPES = (*FOREIGN_ERRORS, SystemExit)
"""What the owner's code usually raises, and its end of the program, which is not its to end."""


def first_line(error: BaseException) -> str:
    """The kind of an error and the first line of its text."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def build_network(factory: str, arguments: Mapping[str, Any], *, folder: Path) -> nn.Module:
    """Calls the owner's factory, `package.module:callable`, found in the folder first of all."""
    module, separator, name = factory.partition(":")
    if not (module and separator and name):
        raise InvalidArgumentError(f"expected package.module:callable, got {factory!r}")
    with _importing_from(folder):
        called = _find(module, name)
        try:
            network = called(**arguments)
        except ESCAPES as error:
            raise InvalidArgumentError(f"{factory} failed: {first_line(error)}") from error
    return _check_module(factory, network)


def _check_module(factory: str, network: object) -> nn.Module:
    """Makes sure that what a factory gave is a network."""
    if not isinstance(network, nn.Module):
        raise InvalidArgumentError(
            f"expected a torch.nn.Module of {factory}, got {type(network).__name__}"
        )
    return network


def _find(module: str, name: str) -> Callable[..., object]:
    try:
        found = importlib.import_module(module)
    except ESCAPES as error:
        raise InvalidArgumentError(f"{module} cannot be imported: {first_line(error)}") from error
    called = getattr(found, name, None)
    if not callable(called):
        raise InvalidArgumentError(f"expected a callable {name} in {module}, got {called!r}")
    return cast(Callable[..., object], called)


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """Finds modules in a folder too, first of all; the search path is as before afterwards."""
    place = folder.resolve()
    _forget_namesakes(place)
    importlib.invalidate_caches()
    before = sys.path.copy()
    sys.path.insert(0, str(place))
    try:
        yield
    finally:
        sys.path[:] = before


def _forget_namesakes(folder: Path) -> None:
    """Drops modules that came from beside another model file and share a name with one here.

    Without this, a second model file with a `network.py` of its own would get the first one's.
    A module from a folder on the search path stays.
    """
    here = {path.stem for path in folder.iterdir() if path.is_dir() or path.suffix == ".py"}
    usual = {Path(place or ".").resolve() for place in sys.path} | {folder}
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        if top in here and _home(sys.modules.get(top, module)) not in {None, *usual}:
            del sys.modules[name]


def _home(module: ModuleType) -> Path | None:
    """The folder in which a top-level module or package was found; None if it has no file."""
    file = getattr(module, "__file__", None)
    if file is None:
        return None
    path = Path(file).resolve()
    return path.parent.parent if path.name == "__init__.py" else path.parent


def read_program(path: Path) -> nn.Module:
    """Reads a program that `torch.export.save` wrote. Trust it as you trust code."""
    if not path.is_file():
        raise InvalidArgumentError(f"there is no file {path}")
    problem = f"expected a program that torch.export.save wrote, got {path.name}"
    if not zipfile.is_zipfile(path):
        raise InvalidArgumentError(problem)
    try:
        with quiet_logger("torch.export"):
            return Program(cast(nn.Module, torch.export.load(path).module()))
    except ESCAPES as error:
        raise InvalidArgumentError(problem) from error


class Program(nn.Module):
    """An exported program, of `ExportedProgram.module()`, that can be used like any network.

    It was exported for inference, so training mode changes nothing in it.
    """

    def __init__(self, graph: nn.Module) -> None:
        super().__init__()
        for module in graph.modules():
            # Constants of the program are no state that torch would move with the rest.
            for name, value in list(vars(module).items()):
                if isinstance(value, Tensor):
                    delattr(module, name)
                    module.register_buffer(name, value, persistent=False)
        self.graph = graph

    def forward(self, inputs: Tensor) -> Tensor:
        """The scores of inputs."""
        return cast(Tensor, self.graph(inputs))

    # The signature is torch's own.
    def train(self, mode: bool = True) -> "Program":  # noqa: FBT001, FBT002
        """Changes nothing but the flag: the graph itself refuses to be asked."""
        self.training = mode
        return self

    def _apply(self, *args: Any, **named: Any) -> "Program":  # noqa: ANN401 (as torch has it)
        """Moves or converts the weights; what the graph makes anew is made where they are."""
        cast(Any, super())._apply(*args, **named)
        _redirect(self.graph, device_of(self))
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "Program":
        with quiet_copies():
            twin = Program(copy.deepcopy(self.graph, memo))
        return twin.train(mode=self.training)


def _redirect(graph: nn.Module, device: torch.device) -> None:
    """Writes another device into a graph, which names the one that it was exported on."""

    def rewrite(argument: object) -> object:
        return device if isinstance(argument, torch.device) else argument

    for module in graph.modules():
        if isinstance(module, GraphModule):
            for node in module.graph.nodes:
                node.args, node.kwargs = tree_map(rewrite, (tuple(node.args), dict(node.kwargs)))
            module.recompile()


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
    return _check_module(factory, network)


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
