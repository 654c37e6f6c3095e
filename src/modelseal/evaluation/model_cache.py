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

# A copy that is made sooner than this many seconds takes more of the disk than of the time.
WORTH = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Shelf:
    """A folder of changed copies of networks.

    A copy is kept as its weights if the network's own structure holds them, and made again
    otherwise; of a recipe that did not reach its goal the reason is kept. Nothing depends on
    whether a copy was kept.

    Args:
        folder: Made if it is missing.
        worth: How many seconds a copy must have taken to be kept.
        clock: Tells seconds.
    """

    folder: Path
    worth: float = WORTH
    clock: Callable[[], float] = time.perf_counter

    def make(self, recipe: Tampering, network: nn.Module, *, known: str) -> nn.Module:
        """A changed copy of a network, kept or made.

        Args:
            recipe: The change; its `repr` says all of it but for what it learns from.
            network: The network to copy.
            known: Digests of the network's weights and modules and of what the recipe learns from.

        Raises:
            NotAppliedError: The recipe did not reach its own goal.
        """
        name = hashlib.sha256(f"{recipe!r} {known}".encode()).hexdigest()
        weights, refusal = (self.folder / f"{name}{end}" for end in (".safetensors", ".json"))
        reason = recall(refusal)
        if reason is not None:
            raise NotAppliedError(reason)
        kept = take(weights, network)
        if kept is not None:
            return kept
        return self.keep(recipe, network, weights=weights, refusal=refusal)

    def keep(
        self, recipe: Tampering, network: nn.Module, *, weights: Path, refusal: Path
    ) -> nn.Module:
        """Makes a copy, and keeps it or the reason why it cannot be made."""
        self.folder.mkdir(parents=True, exist_ok=True)
        begin = self.clock()
        try:
            changed = recipe(network)
        except NotAppliedError as error:
            document = {"recipe": repr(recipe), "reason": str(error)}
            write_atomically(refusal, f"{json.dumps(document)}\n".encode())
            raise
        if self.clock() - begin >= self.worth and same_structure(network, changed):
            tensors = {name: each.contiguous().clone() for name, each in tensors_of(changed)}
            write_atomically(weights, safetensors.torch.save(tensors))
        return changed


class RefusalFile(Section):
    """Why a recipe did not reach its own goal."""

    recipe: str
    reason: str


def recall(file: Path) -> str | None:
    """The reason in a file; None if there is no file that can be read."""
    try:
        return RefusalFile.model_validate_json(file.read_bytes()).reason
    except (OSError, ValidationError):
        return None


def take(file: Path, network: nn.Module) -> nn.Module | None:
    """The network with the weights of a file; None if there is none that can be read."""
    if not file.is_file():
        return None
    try:
        weights = read_weights(file)
    except InvalidArgumentError:
        # A damaged file is no reason to stop: the copy is made and kept anew.
        return None
    changed = copy_network(network).eval()
    try:
        changed.load_state_dict(weights)
    except RuntimeError:
        # It holds other tensors than this network has.
        return None
    return changed


def same_structure(network: nn.Module, changed: nn.Module) -> bool:
    """Whether a network's own modules and tensors can hold all that a changed copy is."""
    return outline(network) == outline(changed)


def outline(network: nn.Module) -> object:
    """The modules of a network and the names, shapes and types of its tensors."""
    modules = [(name, type(module)) for name, module in network.named_modules()]
    tensors = [(name, each.shape, each.dtype) for name, each in tensors_of(network)]
    return modules, tensors, len(network.state_dict())


def tensors_of(network: nn.Module) -> list[tuple[str, Tensor]]:
    """The tensors of a network's state by name, without extra state that is none."""
    state = network.state_dict()
    return [(name, each) for name, each in state.items() if isinstance(each, Tensor)]
