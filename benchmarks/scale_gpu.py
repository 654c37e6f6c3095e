"""What an accepted sample costs on a GPU, and how near its scores are to the CPU's there.

Both our way and the published loop multiply float32 as float32.
"""

import copy
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from cost import measure_boundary
from modelseal.calibration.variants import OnDevice
from modelseal.runtime.devices import settle_network
from scale_cost import Subject, judge, loop_seconds, open_subject

ON_CPU = OnDevice("cpu")


def measure_gpu(name: str, device: str = "cuda") -> Mapping[str, float]:
    """Seconds for an accepted sample, ours and the published loop's, on a GPU.

    Args:
        name: The network's.
        device: The GPU.
    """
    subject = move(open_subject(name), device)
    # What a device does the first time does not count.
    measure_boundary(subject.model, subject.starts, subject.recipe)
    made, seconds, _ = measure_boundary(subject.model, subject.starts, subject.recipe)
    found, kept = judge(subject, made, others=(ON_CPU,))
    published, lean = loop_seconds(subject)
    own = seconds / int(kept.sum())
    moves = found.moves_by_variant[ON_CPU.name] / found.margins
    return {
        f"scale.{name}.gpu.accepted_share": float(kept.double().mean()),
        f"scale.{name}.gpu.seconds": own,
        f"scale.{name}.gpu.legacy_seconds": published,
        f"scale.{name}.gpu.seconds_ratio": published / own,
        f"scale.{name}.gpu.lean_seconds_ratio": lean / own,
        f"scale.{name}.gpu.largest_move_of_margin": float(np.max(moves[kept.numpy()])),
    }


def move(subject: Subject, device: str) -> Subject:
    """The same network and natural inputs on a device."""
    network = settle_network(copy.deepcopy(subject.model.network), torch.device(device))
    model = replace(subject.model, network=network)
    return replace(subject, model=model, starts=subject.starts.to(device))
