"""All harmless ways to run a network, for the evaluation of false alarms."""

import torch

from modelseal.calibration.devices import OnDevice
from modelseal.calibration.reloading import Restarted
from modelseal.calibration.running import BATCH
from modelseal.calibration.sending import Form, Sent
from modelseal.calibration.variants import CPU, BatchSize, Variant, fp32_variants
from modelseal.domain import Domain

SIZES = (2, 7, BATCH)
"""The batch sizes of which every position is tried."""


def every_position() -> tuple[BatchSize, ...]:
    """Batches of 2, 7 and 32 inputs, turned so that every input stands at every position.

    The reference is no variant of itself: it has every input at its first position of 32 already.
    """
    return tuple(
        BatchSize(size, offset)
        for size in SIZES
        for offset in range(size)
        if (size, offset) != (BATCH, 0)
    )


def all_variants(domain: Domain, device: torch.device = CPU) -> tuple[Variant, ...]:
    """All ways of running a network and of sending its inputs that are harmless in float32.

    These are many times as many as sealing tries; some of them may not run here.

    Args:
        domain: What a valid input is.
        device: Where the network is.
    """
    found: tuple[Variant, ...] = (
        *fp32_variants(device),
        *every_position(),
        Restarted(),
        OnDevice("cuda"),
        *(Sent(form, domain) for form in Form),
    )
    return tuple({variant.name: variant for variant in found}.values())
