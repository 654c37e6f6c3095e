import torch
from torch import nn

from modelseal.generation.sensitivity import choose_parameters
from modelseal.research.parameter_uses import tensors, watch


def test_a_watched_network_gives_its_scores(network, images):
    watched = watch(network, images, choose_parameters(network, None))
    torch.testing.assert_close(watched.scores, network(images))
    assert watched.scores.requires_grad


def test_every_use_names_its_parameters_in_order(tiny, images):
    watched = watch(tiny, images, choose_parameters(tiny, None))
    assert [dict(use.names) for use in watched.uses] == [
        {"weight": f"{number}.weight", "bias": f"{number}.bias"} for number in (0, 1, 4)
    ]
    assert [use.shape for use in watched.uses] == [(4, 8, 8, 8), (4, 8, 8, 8), (4, 3)]
    assert not any(use.stale for use in watched.uses)


def test_watched_attention_gives_what_attention_gives():
    for settings in ({}, {"bias": False}, {"add_zero_attn": True}):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            attention = nn.MultiheadAttention(6, 2, batch_first=True, **settings).eval()
            states = torch.rand(2, 3, 6)

        class Pooled(nn.Module):
            def __init__(self, inner):
                super().__init__()
                self.inner = inner

            def forward(self, inputs):
                mixed, shares = self.inner(inputs, inputs, inputs)
                return mixed.sum(1) + shares.sum()

        pooled = Pooled(attention).eval()
        watched = watch(pooled, states, choose_parameters(pooled, None))
        torch.testing.assert_close(watched.scores, pooled(states))
        assert [use.names["weight"] for use in watched.uses] == [
            "inner.in_proj_weight",
            "inner.out_proj.weight",
        ]


def test_an_activation_in_place_does_not_spoil_what_came_out(images):
    layers = nn.Sequential(nn.Flatten(), nn.Linear(192, 3), nn.ReLU(inplace=True)).eval()
    watched = watch(layers, images, choose_parameters(layers, None))
    torch.testing.assert_close(watched.scores, layers(images))


def test_tensors_are_found_in_lists_of_lists():
    one, two = torch.ones(1), torch.ones(2)
    assert [len(each) for each in tensors((one, "a", [3, (two, None)]))] == [1, 2]
