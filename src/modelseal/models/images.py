"""Reads natural inputs from image files or arrays, and writes samples as images.

This module needs no torch: looking into a fingerprint uses it too.
"""

import lzma
import struct
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image, ImageOps

from modelseal.domain import Domain, encode_png
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.files import explain, write_atomically
from modelseal.types import Array, Codes

_SUFFIXES = {".png", ".jpg", ".jpeg"}
_GREY_LEVELS = 256
# Sixteen-bit and floating images would have to be rounded to eight bits in a way nobody asked for.
_EIGHT_BIT_MODES = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr"}
# What Pillow raises for broken files; a warning is one about a decompression bomb, made an error.
_BROKEN_IMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    struct.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
# What numpy and zipfile raise for broken files; a RuntimeError is one about a password, and memory
# ends where a header promises too much.
BROKEN_ARRAYS = (
    EOFError,
    KeyError,
    MemoryError,
    OSError,
    RuntimeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def read_images(
    path: Path | str, domain: Domain, *, limit: int | None = None
) -> tuple[Codes, tuple[str, ...]]:
    """Reads natural inputs, the starting points of samples.

    Args:
        path: A folder of PNG and JPEG files, taken in order of their names; an image of another
            size is resized and cut to its centre. Or an `.npz` file with one array, or one named
            `images`: uint8 grey levels (n, channels, height, width), (n, height, width,
            channels) or (n, height, width), or floats inside the domain's bounds.
        domain: What a valid input is.
        limit: How many are read at most; None reads all.

    Returns:
        The inputs as `Domain.encode` stores them, and a name for each.

    Raises:
        BadFileError: There is nothing to read, or it cannot be read, or it does not fit.
        InvalidArgumentError: The limit is not positive.
    """
    if limit is not None and limit < 1:
        raise InvalidArgumentError(f"expected 1 or more, got {limit}", field="limit")
    path = Path(path)
    if path.is_dir():
        return _read_folder(path, domain, limit)
    if path.suffix.lower() == ".npz" and path.is_file():
        return _read_rows(path, domain, limit)
    if not path.exists():
        raise BadFileError(path, "cannot be read: No such file or directory")
    raise BadFileError(path, "expected a folder of PNG or JPEG files, or an .npz file")


def write_images(folder: Path, codes: Codes, domain: Domain) -> tuple[Path, ...]:
    """Writes inputs as lossless images 000.png, 001.png and so on.

    Files of these names are replaced, each as a whole. If one cannot be written, or the work is
    interrupted, those that were written before it are removed.

    Args:
        folder: Made if it is missing.
        codes: Inputs as `Domain.encode` stores them.
        domain: 8-bit images of shape (height, width), (1, height, width) or
            (3, height, width).

    Returns:
        The files, in the order of the inputs.

    Raises:
        InvalidArgumentError: The domain is another, or the inputs are not valid there.
        BadFileError: The folder cannot be written to.
    """
    if domain.levels != _GREY_LEVELS or _channels(domain) is None:
        raise InvalidArgumentError(
            "expected 8-bit images of one or three channels for PNG files, "
            f"got shape {list(domain.shape)} and {domain.levels} levels"
        )
    domain.check(codes)
    files = {folder / f"{row:03}.png": encode_png(code) for row, code in enumerate(codes)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise BadFileError(folder, f"cannot be written to: {explain(error)}") from error
    written: list[Path] = []
    try:
        for file, content in files.items():
            write_atomically(file, content)
            written.append(file)
    except BaseException:
        for file in written:
            file.unlink(missing_ok=True)
        raise
    return tuple(files)


def image_files(path: Path) -> tuple[Path, ...]:
    """The files that `read_images` reads.

    Returns:
        The PNG and JPEG files of a folder in order of their names, or the `.npz` file itself.

    Raises:
        BadFileError: There is nothing, or the folder cannot be read.
    """
    if not path.exists():
        raise BadFileError(path, "expected a folder of images or an .npz file, got nothing")
    if not path.is_dir():
        return (path,)
    try:
        return tuple(
            sorted(
                file
                for file in path.iterdir()
                if file.suffix.lower() in _SUFFIXES
                and file.is_file()
                and not file.name.startswith(".")
            )
        )
    except OSError as error:
        raise BadFileError(path, f"cannot be read: {explain(error)}") from error


def _read_folder(folder: Path, domain: Domain, limit: int | None) -> tuple[Codes, tuple[str, ...]]:
    if _channels(domain) is None:
        raise BadFileError(
            folder,
            "expected an .npz file for a model of other inputs than (height, width), "
            f"(1, height, width) or (3, height, width), which takes {list(domain.shape)}",
        )
    files = image_files(folder)
    if not files:
        raise BadFileError(folder, "expected PNG or JPEG files, got none")
    grey = np.stack([_read_image(file, domain) for file in files[:limit]])
    return _from_grey(grey, domain), tuple(file.name for file in files[:limit])


def _read_image(file: Path, domain: Domain) -> Array:
    """The grey levels of one image file, of the domain's shape."""
    height, width = domain.shape[-2:]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=("PNG", "JPEG")) as opened:
                if opened.mode not in _EIGHT_BIT_MODES:
                    raise BadFileError(file, f"expected an 8-bit image, got mode {opened.mode}")
                upright = ImageOps.exif_transpose(opened)
                image = upright.convert("RGB" if _channels(domain) == 3 else "L")
    except _BROKEN_IMAGE as error:
        raise BadFileError(file, f"cannot be read as an image: {error}") from error
    fitted = ImageOps.fit(image, (width, height), method=Image.Resampling.BICUBIC)
    pixels = np.asarray(fitted, dtype=np.uint8)
    return _channels_first(pixels).reshape(domain.shape)


def _read_rows(file: Path, domain: Domain, limit: int | None) -> tuple[Codes, tuple[str, ...]]:
    rows = _arrange(file, _read_array(file), domain)[:limit]
    if not len(rows):
        raise BadFileError(file, "expected 1 input or more, got none")
    names = tuple(f"row {row}" for row in range(len(rows)))
    if rows.dtype == np.uint8:
        return _from_grey(rows, domain), names
    low, high = domain.bounds
    if not bool(((rows >= low) & (rows <= high)).all()):
        raise BadFileError(file, f"expected values within {[low, high]}, got one outside or NaN")
    return domain.encode(rows), names


def _read_array(file: Path) -> Array:
    """The array named images, or the only one; of a type that we take."""
    if not zipfile.is_zipfile(file):
        raise BadFileError(file, "cannot be read as arrays: it is no .npz file")
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            names = list(arrays.keys())
            if "images" not in names and len(names) != 1:
                raise BadFileError(file, f"expected an array named images, got {names}")
            found = arrays["images" if "images" in names else names[0]]
    except BROKEN_ARRAYS as error:
        raise BadFileError(file, f"cannot be read as arrays: {error}") from error
    if not isinstance(found, np.ndarray):
        raise BadFileError(file, "cannot be read as arrays: what it holds is something else")
    array = cast(Array, found)
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise BadFileError(file, f"expected uint8 or floating numbers, got {array.dtype}")
    return array


def _arrange(file: Path, array: Array, domain: Domain) -> Array:
    """The same inputs with the domain's axes: channels first."""
    shape = array.shape[1:]
    if array.ndim and shape == domain.shape:
        return array
    if len(shape) == 3 and (shape[2], *shape[:2]) == domain.shape:
        return array.transpose(0, 3, 1, 2)
    if len(shape) == 2 and (1, *shape) == domain.shape:
        return array[:, None]
    raise BadFileError(
        file, f"expected inputs of shape {list(domain.shape)}, got an array of {list(array.shape)}"
    )


def _from_grey(grey: Array, domain: Domain) -> Codes:
    """Grey levels 0 to 255 as inputs of any domain: 0 is the lower bound, 255 the upper."""
    if domain.levels == _GREY_LEVELS:
        return grey
    low, _ = domain.bounds
    return domain.encode(low + grey.astype(np.float64) / (_GREY_LEVELS - 1) * domain.span)


def _channels(domain: Domain) -> int | None:
    """1 or 3; None if the inputs are no images of one or three channels."""
    match domain.shape:
        case (_, _) | (1, _, _):
            return 1
        case (3, _, _):
            return 3
    return None


def _channels_first(pixels: Array) -> Array:
    return pixels if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
