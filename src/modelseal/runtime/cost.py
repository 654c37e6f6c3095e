"""Counts what a network is asked, so that costs can be told without a clock."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

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
