"""The networks and data that a plan names, opened once in every process."""

import hashlib
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
import torch
from jaxtyping import Int64
from torch import nn

from modelseal.calibration.variants import Variant
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.evaluation.plan import FLOAT, Digests, Plan, read_plan
from modelseal.fingerprint.file_format import weights_digest
from modelseal.models.images import BROKEN_ARRAYS, read_images
from modelseal.models.loader import Model, load_model
from modelseal.runtime.devices import is_on_gpu
from modelseal.runtime.inference import run_network
from modelseal.sealing.candidates import (
    digest_network,
    list_every_variant,
    list_variants,
    to_tensor,
)
from modelseal.tampering.catalogue import Data
from modelseal.types import Array, Codes

Numbers: TypeAlias = Int64[np.ndarray, " batch"]
"""The class of each input."""

# Networks that are open at the same time, with their data.
_OPEN = 4
# Functions that a module shows are written with it, and it differs from process to process.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkFiles:
    """Where a network of a plan and its data are, and how many training inputs are used."""

    name: str
    model: Path
    train: Path
    test: Path
    images: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Opened:
    """A network of a plan with its natural inputs, their classes, and what recipes learn from."""

    model: Model
    naturals: Codes
    labels: Numbers
    data: Data
    digests: Digests


def list_networks(plan: Plan, folder: Path) -> dict[str, NetworkFiles]:
    """The files of every network of a plan in this folder, by name."""
    base = folder.resolve()
    return {
        each.name: NetworkFiles(
            name=each.name,
            model=base / each.model,
            train=base / each.train,
            test=base / each.test,
            images=plan.tampering.images,
        )
        for each in plan.networks
    }


def takes_gpu(plan: Path) -> bool:
    """Whether a network of the plan in this file runs on a GPU."""
    files = list_networks(read_plan(plan), plan.parent)
    return any(is_on_gpu(open_network(each).model.network) for each in files.values())


@lru_cache(maxsize=_OPEN)
def open_network(files: NetworkFiles) -> Opened:
    """Builds a network and reads its data; the same again when it is asked for again."""
    model = load_model(files.model)
    first, _ = read_images(files.test, model.domain, limit=1)
    classes = run_network(model.network, to_tensor(model, first)).shape[1]
    train, train_labels = _read_labelled(files.train, model, classes)
    test, test_labels = _read_labelled(files.test, model, classes)
    # A file may be sorted by class.
    rows = np.sort(np.random.default_rng(0).permutation(len(train))[: files.images])
    data = Data(
        train_inputs=to_tensor(model, train[rows]),
        train_labels=torch.from_numpy(train_labels[rows]),
        test_inputs=to_tensor(model, test),
        test_labels=torch.from_numpy(test_labels),
        classes=classes,
        black=model.domain.bounds[0],
        white=model.domain.bounds[1],
    )
    digests = Digests(
        weights=digest_network(model.network),
        structure=digest_structure(model.network),
        train=weights_digest({"images": train[rows], "labels": train_labels[rows]}),
        test=weights_digest({"images": test, "labels": test_labels}),
    )
    return Opened(model=model, naturals=test, labels=test_labels, data=data, digests=digests)


def digest_structure(network: nn.Module) -> str:
    """A digest of a network's modules as torch writes them, without addresses in memory."""
    return hashlib.sha256(_ADDRESS.sub("", str(network)).encode()).hexdigest()


def _read_labelled(path: Path, model: Model, classes: int) -> tuple[Codes, Numbers]:
    images, _ = read_images(path, model.domain)
    labels = _read_labels(path)
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
        raise BadFileError(
            path,
            f"expected a whole number for each of {len(images)} images, "
            f"got {labels.dtype} of shape {list(labels.shape)}",
            field="labels",
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise BadFileError(
            path,
            f"expected classes from 0 to {classes - 1}, got {labels.min()} to {labels.max()}",
            field="labels",
        )
    return images, labels.astype(np.int64)


def _read_labels(path: Path) -> Array:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            if "labels" not in arrays:
                raise BadFileError(path, "is missing", field="labels")
            return cast(Array, arrays["labels"])
    except BROKEN_ARRAYS as error:
        raise BadFileError(path, f"cannot be read as arrays: {error}", field="labels") from error


def view(opened: Opened, method: str) -> tuple[Model, Codes]:
    """The model and the natural inputs as a method sees them: `:float` frees them of levels."""
    model = opened.model
    if not method.endswith(FLOAT) or not model.domain.levels:
        return model, opened.naturals
    free = replace(model, domain=replace(model.domain, levels=0))
    return free, model.domain.decode(opened.naturals)


def sealing_variants(model: Model, names: tuple[str, ...] | None) -> tuple[Variant, ...]:
    """The harmless ways that samples are calibrated in: those of sealing, or the named ones."""
    return list_variants(model) if names is None else every_variant(model, names)


def every_variant(model: Model, names: tuple[str, ...] | None) -> tuple[Variant, ...]:
    """Every harmless way of running a model and of sending its inputs, or the named ones."""
    known = {each.name: each for each in list_every_variant(model)}
    for name in names or ():
        if name not in known:
            raise InvalidArgumentError(f"expected one of {', '.join(known)}, got {name!r}")
    return tuple(known.values() if names is None else (known[name] for name in names))


def derive_seed(*parts: object) -> int:
    """A seed from names and numbers: the same ones give the same seed everywhere."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    # Half the range of 63 bits, so that a few more can be counted on from it.
    return int.from_bytes(digest[:8], "big") >> 2
