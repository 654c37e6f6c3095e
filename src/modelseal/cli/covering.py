"""What `verify --cover` asks among the samples."""

from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.errors import BadFileError, InvalidArgumentError

if TYPE_CHECKING:
    import numpy as np

    from modelseal.fingerprint.record import Fingerprint
    from modelseal.verifying.covering import Cover


def list_naturals(cover: int, naturals: Path | None) -> tuple[Path, ...]:
    """The files that are read for cover, so that none is replaced.

    Args:
        cover: How many natural images are wanted.
        naturals: A folder of images or an `.npz` file.

    Raises:
        InvalidArgumentError: One of the two is missing.
        BadFileError: The images are missing, or their folder cannot be read.
    """
    if (cover > 0) != (naturals is not None):
        raise InvalidArgumentError("--cover N and --naturals IMAGES need one another")
    if naturals is None:
        return ()
    if not naturals.exists():
        raise BadFileError(
            naturals, "a folder of images or an .npz file was wanted, but is missing"
        )
    if not naturals.is_dir():
        return (naturals,)
    from modelseal.models.images import list_images

    return list_images(naturals)


def load_cover(
    fingerprint: "Fingerprint",
    naturals: Path | None,
    *,
    count: int,
    generator: "np.random.Generator",
) -> "Cover":
    """Draws natural images for cover; none if none are wanted.

    Args:
        fingerprint: Whose samples shall be covered.
        naturals: A folder of images or an `.npz` file.
        count: How many are drawn.
        generator: The source of the choice.

    Raises:
        BadFileError: The images cannot be used, or too few of them are unlike the samples.
    """
    if naturals is None:
        return ()
    from modelseal.models.images import read_images
    from modelseal.verifying.covering import draw_cover

    images, _ = read_images(naturals, fingerprint.domain)
    try:
        return draw_cover(images, fingerprint, count=count, generator=generator)
    except InvalidArgumentError as error:
        raise BadFileError(naturals, str(error)) from error
