import pytest
import torch
from torch import nn

from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError
from modelseal.generation.baselines.natural import misclassified, uniform_noise

SMALL = Domain(shape=(1, 3, 3), bounds=(-1.0, 1.0), levels=256)


def test_noise_fills_the_bounds_evenly_and_repeats_with_its_generator():
    def draw(seed):
        return uniform_noise(SMALL, count=900, generator=torch.Generator().manual_seed(seed))

    noise = draw(1)
    assert noise.shape == (900, 1, 3, 3)
    assert torch.equal(noise, draw(1))
    assert not torch.equal(noise, draw(2))
    assert noise.min() >= -1.0
    assert noise.max() <= 1.0
    # 8,100 values in ten bins: five standard deviations are 135.
    counts = torch.histc(noise, bins=10, min=-1.0, max=1.0)
    assert (counts - 810).abs().max() < 135


def test_no_noise_is_refused():
    with pytest.raises(InvalidArgumentError, match="at least 1 input needs to be wanted, but 0"):
        uniform_noise(SMALL, count=0, generator=torch.Generator())


def test_the_misclassified_are_those_whose_highest_score_is_not_their_own_class():
    scores = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.4]])
    wrong = misclassified(nn.Identity(), scores, torch.tensor([1, 1, 0]))
    assert wrong.tolist() == [False, True, True]


@pytest.mark.parametrize("count", [0, 1, 4])
def test_labels_that_are_not_one_for_each_input_are_refused(count):
    labels = torch.zeros(count, dtype=torch.int64)
    with pytest.raises(InvalidArgumentError, match=f"^one label for each of 3 inputs .* {count}$"):
        misclassified(nn.Identity(), torch.rand(3, 2), labels)


def test_a_trained_network_gets_few_real_images_wrong(resnet20, photos):
    inputs, labels = photos
    wrong = misclassified(resnet20.network, inputs, labels)
    assert wrong.double().mean() < 0.5
