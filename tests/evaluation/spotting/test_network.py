import numpy as np
import pytest
import torch

from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.adversary.detectors import Lessons, View, Viewing, draw, learn, suspect
from modelseal.evaluation.roc import measure_auc

LESSONS = Lessons(steps=60, batch=16, width=6)


def material(count, seed):
    """Smooth images, and the same with a little noise."""
    random = np.random.default_rng(seed)
    smooth = random.random((count, 3, 1, 1)) * np.linspace(0.2, 0.8, 12)[:, None].repeat(12, 1)
    noisy = smooth + random.normal(0, 0.02, smooth.shape)
    return noisy.astype(np.float32), smooth.astype(np.float32)


def train(seed=0, **settings):
    noisy, smooth = material(24, 1)
    return learn(
        noisy,
        smooth,
        generator=torch.Generator().manual_seed(seed),
        **{"view": View.RESIDUAL, "lessons": LESSONS, **settings},
    )


@pytest.mark.parametrize("view", View)
def test_it_learns_what_tells_other_images_apart(view):
    network = train(view=view, lessons=Lessons(steps=150, batch=16, width=6))
    noisy, smooth = material(40, 2)
    auc, _, _ = measure_auc(suspect(network, noisy), suspect(network, smooth))
    assert auc > 0.95


def test_where_there_is_nothing_to_learn_it_finds_nothing():
    _, smooth = material(48, 3)
    network = learn(
        smooth[:24],
        smooth[24:],
        view=View.RESIDUAL,
        generator=torch.Generator().manual_seed(0),
        lessons=LESSONS,
    )
    _, fresh = material(200, 4)
    _, low, high = measure_auc(suspect(network, fresh[:100]), suspect(network, fresh[100:]))
    assert low <= 0.5 <= high


def test_the_generator_alone_decides_and_no_global_seed_is_touched():
    state = torch.random.get_rng_state()
    first, again, other = (train(seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_score_of_an_image_does_not_depend_on_the_others():
    network = train()
    noisy, _ = material(300, 5)
    alone = np.concatenate([suspect(network, noisy[[row]]) for row in (0, 100, 299)])
    assert suspect(network, noisy)[[0, 100, 299]] == pytest.approx(alone, abs=1e-5)


def test_the_residual_is_the_distance_from_the_mean_of_nine_in_four_levels():
    image = torch.zeros(1, 1, 5, 5)
    image[0, 0, 2, 2] = 9 / 255
    seen = Viewing(View.RESIDUAL)(image)[0, 0]
    assert seen[2, 2].item() == pytest.approx(8 / 4)
    assert seen[1, 2].item() == pytest.approx(-1 / 4)
    assert Viewing(View.RESIDUAL)(image * 100).abs().max().item() == 3


def test_what_is_drawn_is_an_image_mirrored_or_turned():
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    ways = {
        tuple(each.flatten().tolist())
        for each in (image, image.flip(-1), image.mT, image.flip(-1).mT)
    }
    generator = torch.Generator().manual_seed(0)
    drawn = {tuple(draw(image, 1, generator).flatten().tolist()) for _ in range(60)}
    assert drawn == ways
    wide = torch.rand(2, 1, 3, 4)
    assert draw(wide, 5, generator).shape == (5, 1, 3, 4)


@pytest.mark.parametrize("shape", [(4, 8, 8), (0, 3, 8, 8), (4, 9)])
def test_what_are_no_images_with_channels_is_refused(shape):
    with pytest.raises(InvalidArgumentError, match="images"):
        train_on(np.zeros(shape, np.float32))


def train_on(images):
    generator = torch.Generator().manual_seed(0)
    learn(images, images, view=View.PIXELS, generator=generator, lessons=LESSONS)
