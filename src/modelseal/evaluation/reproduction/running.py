"""Runs the published experiment: sanity check, generation, selection and success rate."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.reproduction.bags import Success, count_success
from modelseal.evaluation.reproduction.faces import Faces, read_faces, read_names
from modelseal.evaluation.reproduction.making import Made, make_legacy, make_natural, make_ours
from modelseal.evaluation.reproduction.pair import Pair
from modelseal.evaluation.reproduction.settings import Settings
from modelseal.models.devices import device_of
from modelseal.sealing.recipe import Progress, ignore
from modelseal.selection.activation import active_neurons, list_layers
from modelseal.shapes import Codes, Mask

TARGET = 0
"""The class that the published trojan stands for."""

NAMES, CLEAN_FACES, TROJANED_FACES = "names.txt", "VGGFace-Clean", "VGGFace-Trojaned"
"""What is in the folder of data, by its published names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sanity:
    """Whether the two networks are what they are said to be.

    Args:
        clean_accuracy: The share of clean images that the clean network puts in their class.
        trojaned_accuracy: The same of the trojaned network.
        differing: The share of clean images that the two put in different classes.
        attack_success: The share of images with the trigger that the trojaned network puts in
            the target.
        images: How many clean images there are.
        triggered: How many images with the trigger there are.
    """

    clean_accuracy: float
    trojaned_accuracy: float
    differing: float
    attack_success: float
    images: int
    triggered: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Outcome:
    """What the samples of one method noticed.

    Args:
        method: `natural`, `legacy:float`, `legacy` or `boundary`.
        made: The samples.
        noticed: Whether the two networks answer each of them differently.
        success: What choices of bags noticed; None without samples.
    """

    method: str
    made: Made
    noticed: Mask
    success: Success | None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Reproduction:
    """All that was found.

    Args:
        sanity: Whether the two networks are what they are said to be.
        naturals: The images that samples were made of.
        files: Their names.
        outcomes: One for each method.
        layer: Whose neurons were covered.
        settings: The numbers of the run.
    """

    sanity: Sanity
    naturals: Codes
    files: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    layer: str
    settings: Settings


def read_data(folder: Path, pair: Pair) -> tuple[Faces, Faces]:
    """Reads the clean images and those with the trigger.

    Raises:
        BadFileError: Something is missing or cannot be used.
    """
    network = pair.clean.network
    classes = len(network.get_parameter("network.fc8.bias"))
    names = read_names(folder / NAMES, classes=classes)
    clean, triggered = (
        read_faces(folder / each, names, pair.clean.domain)
        for each in (CLEAN_FACES, TROJANED_FACES)
    )
    return clean, triggered


def check_sanity(pair: Pair, clean: Faces, triggered: Faces) -> Sanity:
    """Measures whether the two networks are what they are said to be."""
    inputs = pair.decode(clean.images)
    plain = pair.answer(pair.clean.network, inputs)
    changed = pair.answer(pair.trojaned, inputs)
    stamped = pair.answer(pair.trojaned, pair.decode(triggered.images))
    return Sanity(
        clean_accuracy=float((plain == clean.labels).mean()),
        trojaned_accuracy=float((changed == clean.labels).mean()),
        differing=float((plain != changed).mean()),
        attack_success=float((stamped == TARGET).mean()),
        images=len(clean),
        triggered=len(triggered),
    )


def reproduce(
    pair: Pair,
    clean: Faces,
    triggered: Faces,
    *,
    settings: Settings,
    progress: Progress = ignore,
) -> Reproduction:
    """Runs the published experiment.

    Args:
        pair: The two networks.
        clean: Images of known people.
        triggered: Such images with the trigger of the trojan.
        settings: The numbers.
        progress: Is told of the stages `legacy`, `generate`, `calibrate` and `select`.

    Raises:
        InvalidArgumentError: More images are wanted than there are.
    """
    rows = draw(len(clean), settings)
    sanity = check_sanity(pair, clean, triggered)
    naturals = clean.images[rows]
    made = {
        "natural": make_natural(pair, naturals, settings),
        **make_legacy(pair, naturals, settings, progress),
        "boundary": make_ours(pair, naturals, settings, progress),
    }
    layer = list_layers(pair.clean.network, torch_inputs(pair, made["natural"]))[-1]
    outcomes = []
    for number, (method, each) in enumerate(made.items()):
        progress("select", number, len(made))
        outcomes.append(conclude(pair, method, each, layer=layer, settings=settings))
    progress("select", len(made), len(made))
    return Reproduction(
        sanity=sanity,
        naturals=naturals,
        files=tuple(clean.files[row] for row in rows),
        outcomes=tuple(outcomes),
        layer=layer,
        settings=replace(settings, images=len(rows)),
    )


def draw(count: int, settings: Settings) -> np.ndarray:
    """The numbers of the images that samples are made of, in order.

    Raises:
        InvalidArgumentError: More are wanted than there are.
    """
    wanted = count if settings.images is None else settings.images
    if wanted > count:
        raise InvalidArgumentError(f"{wanted} clean images were wanted, but there are {count}")
    return np.sort(np.random.default_rng(settings.seed).permutation(count)[:wanted])


def conclude(pair: Pair, method: str, made: Made, *, layer: str, settings: Settings) -> Outcome:
    """What the samples of one method notice."""
    if not len(made):
        return Outcome(method=method, made=made, noticed=np.zeros(0, dtype=bool), success=None)
    answers = (pair.answer(each, made.images) for each in (pair.clean.network, pair.trojaned))
    noticed = np.not_equal(*answers)
    active = active_neurons(pair.clean.network, torch_inputs(pair, made), layers=[layer], batch=8)
    success = count_success(
        active,
        noticed,
        samples=settings.samples,
        bag=settings.bag,
        trials=settings.trials,
        seed=settings.seed,
    )
    return Outcome(method=method, made=made, noticed=noticed, success=success)


def torch_inputs(pair: Pair, made: Made) -> torch.Tensor:
    """Samples on the device of the networks."""
    return torch.from_numpy(made.images).to(device_of(pair.clean.network))
