import pytest
import torch
from torch import nn

from modelseal.errors import InvalidArgumentError
from modelseal.generation.last_layer import run_last_layer


def test_the_last_layer_is_found_with_its_features(tiny, images):
    last = run_last_layer(tiny, images)
    assert last.name == "4"
    assert last.module is tiny[4]
    assert torch.equal(last.features, tiny[:4](images))
    assert torch.equal(last.scores, tiny(images))


def test_a_network_may_be_a_linear_layer():
    layer = nn.Linear(7, 3)
    last = run_last_layer(layer, torch.ones(2, 7))
    assert (last.name, last.module) == ("", layer)


def test_of_several_runs_of_one_layer_the_last_counts():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, inputs):
            return self.layer(self.layer(inputs).tanh())

    network, inputs = Twice(), torch.ones(2, 3)
    assert torch.equal(run_last_layer(network, inputs).features, network.layer(inputs).tanh())


def test_a_linear_layer_that_runs_after_the_scores_were_made_is_not_the_last():
    class Aside(nn.Module):
        def __init__(self):
            super().__init__()
            self.head, self.aside = nn.Linear(3, 2), nn.Linear(2, 2)

        def forward(self, inputs):
            scores = self.head(inputs)
            self.aside(scores)
            return scores

    assert run_last_layer(Aside(), torch.ones(1, 3)).name == "head"


@pytest.mark.parametrize(
    "network",
    [nn.Sequential(nn.Linear(4, 3), nn.Softmax(1)), nn.Sequential(nn.Flatten(), nn.Tanh())],
)
def test_scores_from_elsewhere_are_refused(network):
    with pytest.raises(InvalidArgumentError, match=r"straight from a torch\.nn\.Linear is needed"):
        run_last_layer(network, torch.ones(2, 4))


def test_no_hook_is_left_behind_when_the_network_fails():
    network = nn.Sequential(nn.Linear(4, 3), nn.Linear(5, 2))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        run_last_layer(network, torch.ones(2, 4))
    assert not any(layer._forward_hooks for layer in network.modules())
