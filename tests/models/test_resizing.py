import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from modelseal.errors import InvalidArgumentError
from modelseal.models.transforms import Filter, Resized, Resizing, weigh

SIZES = [((20, 30), (8, 9)), ((9, 8), (20, 31)), ((12, 12), (12, 5)), ((7, 5), (7, 5))]


def resize(images, *, bounds=(0.0, 1.0), **changes):
    resizing = Resizing(shape=tuple(images.shape[1:]), bounds=bounds, **changes)
    return Resized(nn.Identity(), resizing)(images)


@pytest.fixture
def draw():
    def make(height, width):
        return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))

    return make


@pytest.mark.parametrize("kind", list(Filter))
@pytest.mark.parametrize(("inside", "outside"), SIZES)
def test_images_are_resized_as_by_torch_with_antialiasing(draw, kind, inside, outside):
    images = draw(*inside)
    wanted = functional.interpolate(images, size=outside, mode=kind.value, antialias=True)
    found = resize(images, resize=outside, filter=kind)
    # Float32 sums in another order; torch does not cut what overshoots.
    torch.testing.assert_close(found, wanted.clamp(0, 1), rtol=0.0, atol=2e-6)


@pytest.mark.parametrize("kind", list(Filter))
@pytest.mark.parametrize(("inside", "outside"), SIZES)
def test_images_are_resized_as_by_pillow_to_a_level(draw, kind, inside, outside):
    # Between the levels that bicubic overshoots do not leave: Pillow cuts them on each axis.
    codes = (draw(*inside)[0] * 127 + 64).byte()
    picture = Image.fromarray(codes.permute(1, 2, 0).numpy())
    way = {Filter.BILINEAR: Image.Resampling.BILINEAR, Filter.BICUBIC: Image.Resampling.BICUBIC}
    wanted = np.asarray(picture.resize(outside[::-1], way[kind])).transpose(2, 0, 1)
    found = resize(codes[None].float(), bounds=(0.0, 255.0), resize=outside, filter=kind)[0]
    # Pillow rounds to whole levels once for each axis.
    assert np.abs(found.numpy() - wanted).max() <= 1.0


@pytest.mark.parametrize(("size", "first"), [(6, 2), (5, 2), (10, 0), (1, 4)])
def test_the_middle_is_cut_out(draw, size, first):
    images = draw(10, 10)
    found = resize(images, crop=(size, 4))
    torch.testing.assert_close(found, images[:, :, first : first + size, 3:7])


def test_the_crop_is_of_the_resized_image(draw):
    images = draw(16, 12)
    whole = resize(images, resize=(8, 8))
    torch.testing.assert_close(resize(images, resize=(8, 8), crop=(4, 6)), whole[:, :, 2:6, 1:7])


def test_the_weights_of_every_value_add_up_to_one():
    for kind in Filter:
        for inside, outside in ((224, 32), (5, 9), (3, 3)):
            np.testing.assert_allclose(weigh(inside, outside, kind).sum(1), 1.0, rtol=1e-12)


def test_it_can_be_differentiated_by_the_raw_image():
    images = torch.rand(1, 1, 5, 6, dtype=torch.float64, requires_grad=True)
    resizing = Resizing(shape=(1, 5, 6), bounds=(0.0, 1.0), resize=(3, 4), crop=(2, 2))
    assert torch.autograd.gradcheck(Resized(nn.Identity(), resizing).double(), images)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"shape": (3, 8)}, r"channels, height and width, but they are \[3, 8\]"),
        ({"resize": (0, 4)}, r"resize needs positive sizes, but is \[0, 4\]"),
        ({"crop": (9, 4)}, r"crop needs sizes from 1 to \[8, 8\], but is \[9, 4\]"),
        ({"resize": (4, 4), "crop": (4, 0)}, r"crop needs sizes from 1 to \[4, 4\]"),
    ],
)
def test_sizes_that_there_are_not_are_refused(changes, problem):
    with pytest.raises(InvalidArgumentError, match=problem):
        Resizing(**{"shape": (3, 8, 8), "bounds": (0.0, 1.0), **changes})
