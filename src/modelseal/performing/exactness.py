"""Whether torch multiplies float32 as float32.

By default torch rounds the operands of convolutions on GPUs to TF32, and on request those of
products on GPUs and CPUs to TF32 or bfloat16: lower precisions with other scores, of which an
owner says if they are harmless.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch

EXACT = "ieee"


@contextmanager
def without_tf32() -> Iterator[None]:
    """Multiplies float32 as float32, and puts torch's switches back afterwards."""
    switches = list_switches()
    before = [getattr(owner, name) for owner, name, _ in switches]
    try:
        for owner, name, exact in switches:
            setattr(owner, name, exact)
        yield
    finally:
        for (owner, name, _), state in zip(switches, before, strict=True):
            setattr(owner, name, state)


def forbid_tf32() -> None:
    """Multiplies float32 as float32 for as long as this process runs."""
    with warnings.catch_warnings():
        # The old switches are set as well, since reading them is an error if they disagree.
        warnings.filterwarnings("ignore", category=UserWarning, message=".*TF32")
        for owner, name, exact in (*list_old_switches(), *list_switches()):
            setattr(owner, name, exact)


def list_switches() -> list[tuple[object, str, object]]:
    """Torch's switches: whose they are, their name, and the state that is float32.

    Those of each operation can always be read, whatever was set for all of them at once or by the
    old names.
    """
    if not hasattr(torch.backends.cudnn, "conv"):
        return list_old_switches()
    # Torch declares a module, not what is in it.
    cpu = cast(Any, torch.backends.mkldnn)
    owners = (
        *(torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn),
        *(cpu.matmul, cpu.conv, cpu.rnn),
    )
    return [(owner, "fp32_precision", EXACT) for owner in owners]


def list_old_switches() -> list[tuple[object, str, object]]:
    """The same before torch 2.9, which knows TF32 alone. Later ones can be set by them still."""
    owners = torch.backends.cuda.matmul, torch.backends.cudnn
    return [(owner, "allow_tf32", False) for owner in owners]
