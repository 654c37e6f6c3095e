import os
import struct
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from refusals import refuses

from modelseal.domain import Domain
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.models.images import read_images, write_images

COLOUR = Domain(shape=(3, 4, 6))
GREY = Domain(shape=(1, 4, 6))
FLAT = Domain(shape=(4, 6))


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(file, array, **options):
    Image.fromarray(array).save(file, **options)


def test_images_come_in_the_order_of_their_names_with_their_exact_pixels(tmp_path):
    first, second = pixels(4, 6, 3), pixels(4, 6, 3, seed=1)
    save(tmp_path / "b.png", second)
    save(tmp_path / "a.PNG", first)
    codes, names = read_images(tmp_path, COLOUR)
    assert names == ("a.PNG", "b.png")
    assert codes.dtype == np.uint8
    assert np.array_equal(codes, np.stack([first, second]).transpose(0, 3, 1, 2))


def test_what_is_no_image_is_passed_over(tmp_path):
    save(tmp_path / "a.png", pixels(4, 6, 3))
    save(tmp_path / "b.JPeG", pixels(4, 6, 3))
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "._a.png").write_bytes(b"what some systems leave")
    (tmp_path / "folder.png").mkdir()
    assert read_images(tmp_path, COLOUR)[1] == ("a.png", "b.JPeG")


def test_a_limit_takes_the_first(tmp_path):
    for name in "cab":
        save(tmp_path / f"{name}.png", pixels(4, 6, 3))
    (tmp_path / "d.png").write_bytes(b"never looked at")
    codes, names = read_images(tmp_path, COLOUR, limit=2)
    assert (len(codes), names) == (2, ("a.png", "b.png"))
    with refuses(InvalidArgumentError, field="limit"):
        read_images(tmp_path, COLOUR, limit=0)


@pytest.mark.parametrize("domain", [COLOUR, GREY, FLAT])
def test_channels_are_added_or_dropped_as_the_domain_has_them(tmp_path, domain):
    grey = pixels(4, 6)
    colour = np.dstack([grey] * 3)
    for name, stored in (("a", grey), ("b", colour), ("c", np.dstack([colour, pixels(4, 6, 1)]))):
        save(tmp_path / f"{name}.png", stored)
    codes, _ = read_images(tmp_path, domain)
    assert np.array_equal(
        codes,
        np.broadcast_to(grey, (3, 3, 4, 6))[
            :, : domain.shape[0] if len(domain.shape) == 3 else 1
        ].reshape(3, *domain.shape),
    )


def test_a_photo_is_turned_upright(tmp_path):
    upright = pixels(4, 6, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored a quarter turn to the left
    save(tmp_path / "a.png", np.rot90(upright).copy(), exif=exif)
    assert np.array_equal(read_images(tmp_path, COLOUR)[0][0], upright.transpose(2, 0, 1))


def test_a_larger_image_keeps_its_centre_and_its_proportions(tmp_path):
    wide = np.zeros((40, 100), dtype=np.uint8)
    wide[:, 20:80] = 200  # 60 x 40 in the middle: exactly the proportions of the domain
    save(tmp_path / "a.png", wide)
    codes, _ = read_images(tmp_path, FLAT)
    # Bicubic overshoots a little beside an edge.
    assert np.abs(codes[0, :, 1:-1].astype(int) - 200).max() <= 4
    assert codes.min() > 150
    # Antialiased: stripes finer than a pixel come out even.
    save(tmp_path / "a.png", np.tile(np.uint8([0, 255]), (40, 30)))
    assert np.ptp(read_images(tmp_path, FLAT)[0][0, 1:-1, 1:-1].astype(int)) < 30


@pytest.mark.parametrize(
    ("levels", "bounds"), [(2, (0.0, 1.0)), (17, (0.0, 16.0)), (256, (-1.0, 1.0)), (0, (-2.0, 2.0))]
)
def test_grey_levels_span_the_bounds_of_any_domain(tmp_path, levels, bounds):
    domain = Domain(shape=(16, 16), bounds=bounds, levels=levels)
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    save(tmp_path / "a.png", every)
    codes, _ = read_images(tmp_path, domain)
    wanted = bounds[0] + every / 255 * (bounds[1] - bounds[0])
    tolerance = domain.step / 2 if levels else 0
    assert np.abs(domain.decode(codes)[0] - wanted).max() <= tolerance + 1e-6
    np.savez(tmp_path / "a.npz", every[None])
    assert np.array_equal(read_images(tmp_path / "a.npz", domain)[0], codes)


def bomb():
    """A PNG that says it has 20,000 x 20,000 pixels."""
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", zlib.crc32(b"IHDR" + header))


def deep(tmp_path):
    """Sixteen bits a pixel."""
    save(tmp_path / "deep.png", pixels(4, 6).astype(np.uint16) * 257)
    return (tmp_path / "deep.png").read_bytes()


def cut(tmp_path):
    save(tmp_path / "whole.bmp", pixels(40, 60, 3), format="PNG")
    return (tmp_path / "whole.bmp").read_bytes()[:500]


@pytest.mark.parametrize("content", [b"", b"junk", bomb(), b"GIF89a" + bytes(20), cut, deep])
def test_a_broken_image_is_named(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content(tmp_path) if callable(content) else content)
    with refuses(BadFileError, file=tmp_path / "a.png"):
        read_images(tmp_path, COLOUR)


def test_a_folder_without_images_and_a_path_to_nothing_are_refused(tmp_path):
    with refuses(BadFileError, file=tmp_path):
        read_images(tmp_path, COLOUR)
    (tmp_path / "a.png").touch()
    with refuses(BadFileError, file=tmp_path / "a.png"):
        read_images(tmp_path / "a.png", COLOUR)
    for path in (tmp_path / "none", tmp_path / "none.npz"):
        with refuses(BadFileError, file=path):
            read_images(path, COLOUR)


@pytest.mark.parametrize("shape", [(7,), (2, 4, 6), (3, 2, 4, 6)])
def test_a_network_that_takes_no_images_cannot_take_a_folder(tmp_path, shape):
    with refuses(BadFileError, match=r"\.npz"):
        read_images(tmp_path, Domain(shape=shape))


@pytest.mark.parametrize(
    ("domain", "stored", "axes"),
    [
        (COLOUR, (5, 3, 4, 6), None),
        (COLOUR, (5, 4, 6, 3), (0, 3, 1, 2)),
        (GREY, (5, 1, 4, 6), None),
        (GREY, (5, 4, 6, 1), (0, 3, 1, 2)),
        (GREY, (5, 4, 6), None),
        (FLAT, (5, 4, 6), None),
        (Domain(shape=(7,)), (5, 7), None),
    ],
)
def test_an_array_may_have_its_channels_first_or_last(tmp_path, domain, stored, axes):
    rows = pixels(*stored)
    np.savez(tmp_path / "a.npz", anything=rows)
    codes, names = read_images(tmp_path / "a.npz", domain)
    wanted = rows.transpose(axes) if axes else rows
    assert np.array_equal(codes, wanted.reshape(5, *domain.shape))
    assert names == tuple(f"row {row}" for row in range(5))
    assert len(read_images(tmp_path / "a.npz", domain, limit=2)[0]) == 2


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
def test_floats_are_values_inside_the_bounds(tmp_path, kind):
    rows = np.linspace(-1, 1, 48).reshape(2, 4, 6).astype(kind)
    np.savez(tmp_path / "a.npz", rows)
    continuous = Domain(shape=(4, 6), bounds=(-1.0, 1.0), levels=0)
    codes, _ = read_images(tmp_path / "a.npz", continuous)
    assert np.array_equal(codes, rows.astype(np.float32))
    codes, _ = read_images(tmp_path / "a.npz", Domain(shape=(4, 6), bounds=(-1.0, 1.0), levels=3))
    assert np.array_equal(codes, np.round(rows.astype(np.float64)) + 1)


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"a": np.zeros(2), "b": np.zeros(2)}, r"\['a', 'b'\]"),
        ({"a": np.zeros((2, 4, 6), dtype=np.int64)}, "int64"),
        ({"a": np.array([{}])}, "Object arrays"),
        ({"a": np.zeros((2, 6, 4))}, r"\[4, 6\].*\[2, 6, 4\]"),
        ({"a": np.float64(3)}, r"\[\]"),
        ({"a": np.zeros((0, 4, 6))}, "none"),
        ({"a": np.full((1, 4, 6), 255.0)}, r"\[0.0, 1.0\]"),
        ({"a": np.full((1, 4, 6), np.nan)}, "NaN"),
        ({}, r"\[\]"),
    ],
)
def test_an_array_that_does_not_fit_is_refused(tmp_path, arrays, problem):
    np.savez(tmp_path / "a.npz", **arrays)
    with refuses(BadFileError, file=tmp_path / "a.npz", match=problem):
        read_images(tmp_path / "a.npz", FLAT)


def damaged(tmp_path):
    np.savez(tmp_path / "whole.npz", pixels(5, 4, 6))
    content = bytearray((tmp_path / "whole.npz").read_bytes())
    content[200] ^= 255  # one bit of an array; the checksum says so
    return bytes(content)


def inflated(tmp_path):
    np.savez_compressed(tmp_path / "whole.npz", np.zeros((5, 4, 6), np.uint8))
    content = bytearray((tmp_path / "whole.npz").read_bytes())
    start = 30 + int.from_bytes(content[26:28], "little") + int.from_bytes(content[28:30], "little")
    content[start : start + 4] = b"\xff" * 4  # no deflated data begins so
    return bytes(content)


def locked(tmp_path):
    np.savez(tmp_path / "whole.npz", pixels(5, 4, 6))
    content = bytearray((tmp_path / "whole.npz").read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # wants a password
    content[6] |= 1
    return bytes(content)


def no_array(tmp_path):
    with zipfile.ZipFile(tmp_path / "whole.npz", "w") as archive:
        archive.writestr("a.txt", "text")
    return (tmp_path / "whole.npz").read_bytes()


def endless(tmp_path):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000, 1000), }\n"
    with zipfile.ZipFile(tmp_path / "whole.npz", "w") as archive:
        start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header))
        archive.writestr("a.npy", start + header)
    return (tmp_path / "whole.npz").read_bytes()


def one_array(tmp_path):
    np.save(tmp_path / "one.npy", pixels(5, 4, 6))
    return (tmp_path / "one.npy").read_bytes()


@pytest.mark.parametrize(
    "content",
    [b"", b"junk", b"PK\x03\x04junk", damaged, inflated, locked, no_array, endless, one_array],
)
def test_a_file_that_holds_no_arrays_is_refused(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content(tmp_path) if callable(content) else content)
    with refuses(BadFileError, file=tmp_path / "a.npz"):
        read_images(tmp_path / "a.npz", FLAT)


@settings(max_examples=20, deadline=None)
@given(
    shape=st.sampled_from([(4, 6), (1, 4, 6), (3, 4, 6), (3, 1, 1)]),
    count=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_written_images_are_read_back_to_the_bit(tmp_path_factory, shape, count, seed):
    folder = tmp_path_factory.mktemp("images") / "new" / "folder"
    domain, codes = Domain(shape=shape), pixels(count, *shape, seed=seed)
    files = write_images(folder, codes, domain)
    assert [file.name for file in files] == [f"{row:03}.png" for row in range(count)]
    shown, names = read_images(folder, domain)
    assert np.array_equal(shown, codes)
    assert names == tuple(file.name for file in files)


@pytest.mark.parametrize(
    "domain",
    [Domain(shape=(7,)), Domain(shape=(2, 4, 6)), Domain(shape=(4, 6), levels=17)],
)
def test_only_eight_bit_images_are_written(tmp_path, domain):
    codes = np.zeros((1, *domain.shape), dtype=np.uint8)
    with refuses(InvalidArgumentError):
        write_images(tmp_path / "new", codes, domain)
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()
    with refuses(BadFileError, file=tmp_path / "file"):
        write_images(tmp_path / "file", pixels(1, 4, 6), FLAT)


def test_an_interruption_leaves_no_image_and_nothing_half_written(tmp_path, monkeypatch):
    def interrupt(descriptor):
        if (tmp_path / "001.png").exists():
            raise KeyboardInterrupt("now")

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt, match="now"):
        write_images(tmp_path, pixels(3, 4, 6), FLAT)
    assert list(tmp_path.iterdir()) == []


def test_images_are_read_without_torch():
    code = "import sys, modelseal.models.images; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
