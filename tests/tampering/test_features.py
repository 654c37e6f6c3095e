import pytest
import torch
from torch import nn

from modelseal.errors import InvalidArgumentError
from modelseal.tampering.training import all_features, features_of


def test_features_are_what_goes_into_the_last_linear_layer(tiny, coloured):
    images, _ = coloured
    wanted = tiny[:4](images)
    assert torch.equal(features_of(tiny, images), wanted)
    assert not tiny[4]._forward_pre_hooks
    shown = all_features(tiny, torch.cat([images, images]))
    torch.testing.assert_close(shown, torch.cat([wanted, wanted]))


def test_features_are_differentiable_by_the_inputs(tiny, coloured):
    images = coloured[0][:2].clone().requires_grad_()
    features_of(tiny, images).sum().backward()
    assert bool(images.grad.any())


def test_a_layer_that_is_never_run_has_no_features():
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(2, 2)

        def forward(self, inputs):
            return inputs

    with pytest.raises(InvalidArgumentError):
        features_of(Idle(), torch.zeros(1, 2))
