import numpy as np
import pytest
import torch
from PIL import Image
from refusals import refuses
from torch import nn
from torch.nn import functional

from modelseal.errors import InvalidArgumentError
from modelseal.models.transforms import Filter, Normalised, Resized, Resizing, reorderings

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
INPUTS = torch.rand(5, 3, 4, 6, generator=torch.Generator().manual_seed(0))


def by_hand(inputs, mean, std):
    """Channel by channel, in float64."""
    channels = [(inputs[:, c].double() - mean[c]) / std[c] for c in range(inputs.shape[1])]
    return torch.stack(channels, dim=1)


def test_each_channel_gets_its_own_mean_and_std():
    shown = Normalised(nn.Identity(), mean=MEAN, std=STD)(INPUTS)
    assert shown.dtype == torch.float32
    torch.testing.assert_close(shown.double(), by_hand(INPUTS, MEAN, STD), rtol=1e-5, atol=1e-6)


def test_every_reordering_is_the_same_but_for_rounding():
    plain = Normalised(nn.Identity(), mean=MEAN, std=STD)
    others = reorderings(plain)
    assert set(others) == {"multiply-add", "divide first", "float64 normalisation", "255 first"}
    wanted = by_hand(INPUTS, MEAN, STD)
    results = {name: network(INPUTS) for name, network in others.items()}
    for shown in results.values():
        assert shown.dtype == torch.float32
        torch.testing.assert_close(shown.double(), wanted, rtol=1e-5, atol=2e-6)
    # They would be of no use if they were the same to the bit.
    assert all(not torch.equal(shown, plain(INPUTS)) for shown in results.values())
    assert torch.equal(results["float64 normalisation"], wanted.float())


def small(first, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        convolution = nn.Conv2d(3, 4, 3, **settings)
        network = nn.Sequential(*first, convolution, nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
        network(INPUTS)
    return Normalised(network, mean=MEAN, std=STD)


@pytest.mark.parametrize("settings", [{}, {"padding": 1}, {"stride": 2, "bias": False}])
def test_a_spread_folded_into_the_first_filters_is_the_same_but_for_rounding(settings):
    plain = small((), **settings)
    before = {name: each.clone() for name, each in plain.state_dict().items()}
    folded = reorderings(plain)["folded"]
    shown, wanted = folded(INPUTS), plain(INPUTS)
    torch.testing.assert_close(shown, wanted, rtol=1e-5, atol=1e-5)
    assert not torch.equal(shown, wanted)
    assert all(torch.equal(each, before[name]) for name, each in plain.state_dict().items())
    assert not plain.network[0]._forward_pre_hooks


@pytest.mark.parametrize("first", [(nn.Tanh(),), (nn.Conv2d(3, 3, 1), nn.Tanh())])
def test_only_filters_that_meet_the_inputs_themselves_are_folded(first):
    class Backwards(nn.Sequential):
        def forward(self, inputs):
            head = self[1](self[0](inputs)) if len(first) == 2 else self[0](inputs)
            return super().forward(head) if len(first) == 1 else self[2](self[0](head))

    plain = small(first)
    plain.network.__class__ = Backwards
    with pytest.raises(RuntimeError, match="first filters"):
        reorderings(plain)["folded"](INPUTS)
    assert not any(each._forward_pre_hooks for each in plain.network.modules())


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


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"shape": (3, 8)}, "shape"),
        ({"resize": (0, 4)}, "resize"),
        ({"crop": (9, 4)}, "crop"),
        ({"resize": (4, 4), "crop": (4, 0)}, "crop"),
    ],
)
def test_sizes_that_there_are_not_are_refused(changes, field):
    with refuses(InvalidArgumentError, field=field):
        Resizing(**{"shape": (3, 8, 8), "bounds": (0.0, 1.0), **changes})


@pytest.mark.parametrize(
    ("mean", "std"),
    [([], []), ([0.0], [1.0, 1.0]), ([float("nan")], [1.0]), ([0.0], [0.0]), ([0.0], [-1.0])],
)
def test_mean_and_std_need_as_many_numbers_finite_and_positive(mean, std):
    with refuses(InvalidArgumentError):
        Normalised(nn.Identity(), mean=mean, std=std)
