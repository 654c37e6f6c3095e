"""Changed copies of networks, each made once and kept for whoever asks it later."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
from pydantic import ValidationError
from torch import Tensor, nn

from modelseal.errors import InvalidArgumentError, NotAppliedError
from modelseal.files import write_atomically
from modelseal.models.loader import read_weights
from modelseal.runtime.inference import copy_network
from modelseal.settings import Section
from modelseal.tampering.base import Tampering


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCache:
    """A folder of changed copies of networks.

    A copy is kept as its weights if the network's own structure holds them and it took `worth`
    seconds to make: one that is made sooner takes more of the disk than of the time. Of a recipe
    that did not reach its goal the reason is kept. Nothing depends on whether a copy was kept.
    """

    folder: Path
    worth: float = 0.5
    clock: Callable[[], float] = time.perf_counter

    def make(self, recipe: Tampering, network: nn.Module, *, known: str) -> nn.Module:
        """A changed copy of a network, kept or made."""
        name = hashlib.sha256(f"{recipe!r} {known}".encode()).hexdigest()
        weights, refusal = (self.folder / f"{name}{end}" for end in (".safetensors", ".json"))
        reason = _read_reason(refusal)
        if reason is not None:
            raise NotAppliedError(reason)
        kept = _read_copy(weights, network)
        return kept or self._make(recipe, network, weights=weights, refusal=refusal)

    def _make(
        self, recipe: Tampering, network: nn.Module, *, weights: Path, refusal: Path
    ) -> nn.Module:
        self.folder.mkdir(parents=True, exist_ok=True)
        begin = self.clock()
        try:
            changed = recipe(network)
        except NotAppliedError as error:
            document = {"recipe": repr(recipe), "reason": str(error)}
            write_atomically(refusal, f"{json.dumps(document)}\n".encode())
            raise
        if self.clock() - begin >= self.worth and _outline(network) == _outline(changed):
            tensors = {name: each.contiguous().clone() for name, each in _tensors_of(changed)}
            write_atomically(weights, safetensors.torch.save(tensors))
        return changed


class _RefusalFile(Section):
    recipe: str
    reason: str


def _read_reason(file: Path) -> str | None:
    try:
        return _RefusalFile.model_validate_json(file.read_bytes()).reason
    except (OSError, ValidationError):
        return None


def _read_copy(file: Path, network: nn.Module) -> nn.Module | None:
    """The network with the weights of a file; None if there is none of its own shapes."""
    if not file.is_file():
        return None
    try:
        weights = read_weights(file)
        changed = copy_network(network).eval()
        changed.load_state_dict(weights)
    except (InvalidArgumentError, RuntimeError):
        # A damaged file is no reason to stop: the copy is made and kept anew.
        return None
    return changed


def _outline(network: nn.Module) -> object:
    """The modules of a network and the names, shapes and types of its tensors."""
    modules = [(name, type(module)) for name, module in network.named_modules()]
    tensors = [(name, each.shape, each.dtype) for name, each in _tensors_of(network)]
    return modules, tensors, len(network.state_dict())


def _tensors_of(network: nn.Module) -> list[tuple[str, Tensor]]:
    """The tensors of a network's state by name, without extra state that is none."""
    state = network.state_dict()
    return [(name, each) for name, each in state.items() if isinstance(each, Tensor)]
