"""What `seal` and `generate` share: from their options to a recipe, a network and its inputs."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli.opening import require_torch
from modelseal.cli.options import Method
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.outputs.specs import parse_spec
from modelseal.shapes import Codes

if TYPE_CHECKING:
    from modelseal.models.loading import Model
    from modelseal.sealing import Recipe


def check_counts(*, samples: int, candidates: int) -> None:
    """Makes sure that there is something to choose from.

    Raises:
        InvalidArgumentError: More samples than candidates are wanted.
    """
    if candidates < samples:
        raise InvalidArgumentError(
            f"--candidates needs to be at least --samples, but {candidates} is less than {samples}"
        )


def make_recipe(
    *, spec: str, method: Method, tie: int, margin: float | None, factor: float, seed: int
) -> "Recipe":
    """How samples shall be made.

    Raises:
        InvalidArgumentError: A value is out of its range.
        MissingExtraError: Torch is not installed.
    """
    shown = parse_spec(spec)
    require_torch("Making samples")
    from modelseal import sealing

    return sealing.Recipe(
        method=sealing.Method(method.value),
        spec=shown,
        tied=tie,
        margin=margin,
        factor=factor,
        seed=seed,
    )


def allow_precisions(recipe: "Recipe", words: str) -> "Recipe":
    """The same recipe with precisions that shall count as harmless.

    Args:
        recipe: How samples shall be made.
        words: The precisions, with commas between; empty for none.

    Raises:
        InvalidArgumentError: A word is no precision.
    """
    from modelseal.calibration.precision import parse_allowed

    return replace(recipe, allowed=parse_allowed(words))


def list_inputs(model: Path, images: Path) -> tuple[Path, ...]:
    """Every file that is read for samples, so that none is replaced by what is made of it.

    Raises:
        BadFileError: The model.toml or the folder of images cannot be read.
    """
    from modelseal.models.declaration import list_model_files
    from modelseal.models.images import list_images

    found = list_images(images) if images.is_dir() else (images,)
    return (*list_model_files(model), *found)


def load_inputs(model: Path, images: Path, *, samples: int = 1) -> tuple["Model", Codes]:
    """The network, and the natural inputs that samples are made of.

    Args:
        model: The model.toml.
        images: A folder of images or an `.npz` file.
        samples: How many samples are wanted, which takes at least as many natural inputs.

    Raises:
        BadFileError: One of them cannot be used, or there are too few inputs.
    """
    from modelseal.models.images import read_images
    from modelseal.models.loading import load

    if not images.exists():
        raise BadFileError(images, "a folder of images or an .npz file was wanted, but is missing")
    network = load(model)
    naturals, _ = read_images(images, network.domain)
    if len(naturals) < samples:
        raise BadFileError(
            images,
            f"at least {samples} images were wanted for as many samples, not {len(naturals)}",
        )
    return network, naturals
