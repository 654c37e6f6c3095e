"""Builds a network from the owner's code or from an exported program."""

import copy
import importlib
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.utils._pytree import tree_map

from modelseal.errors import FOREIGN_ERRORS, InvalidArgumentError
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
    return check_module(factory, network)


def check_module(factory: str, network: object) -> nn.Module:
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
