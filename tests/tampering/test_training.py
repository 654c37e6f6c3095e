from itertools import count, repeat

import pytest
import torch
from torch import nn

from modelseal.errors import InvalidArgumentError, NotAppliedError
from modelseal.runtime.inference import copy_network
from modelseal.tampering.base import all_weights
from modelseal.tampering.training import (
    Schedule,
    Scope,
    all_features,
    better_than_chance,
    descend,
    draw_batches,
    features_of,
    follow,
    last_linear,
    learn_until,
    ready,
    scores_of,
    share_taken_for,
    start_afresh,
)


def names_of(network, parameters):
    return {name for name, one in network.named_parameters() if any(one is p for p in parameters)}


@pytest.mark.parametrize(
    ("scope", "wanted", "moving"),
    [
        (Scope.ALL, {"0.weight", "0.bias", "1.weight", "1.bias", "4.weight", "4.bias"}, True),
        (Scope.LAST_LAYER, {"4.weight", "4.bias"}, False),
        (Scope.ALL_BUT_LAST, {"0.weight", "0.bias", "1.weight", "1.bias"}, True),
    ],
)
def test_a_scope_readies_its_layers_and_freezes_the_others(scope, wanted, moving, tiny):
    network = nn.Sequential(*copy_network(tiny), nn.Dropout(0.5)).eval()
    parameters = ready(network, scope)
    assert names_of(network, parameters) == wanted
    asking = {name for name, one in network.named_parameters() if one.requires_grad}
    assert asking == wanted
    assert [module.training for module in network] == [False, moving, *[False] * 4]


def test_the_last_layer_is_the_last_that_is_declared():
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4), nn.ReLU())
    assert last_linear(network) is network[1]
    with pytest.raises(InvalidArgumentError):
        last_linear(nn.Conv2d(3, 3, 3))


def test_descending_leaves_no_gradient_and_moves_what_the_optimiser_holds(tiny, coloured):
    network = copy_network(tiny)
    parameters = ready(network, Scope.LAST_LAYER)
    optimiser = torch.optim.SGD(parameters, lr=0.1)
    steps = descend(network, parameters, repeat(coloured, 3), optimiser=optimiser)
    assert torch.equal(network[4].weight, tiny[4].weight)  # nothing happens before it is asked
    assert list(steps) == [1, 2, 3]
    assert not torch.equal(network[4].weight, tiny[4].weight)
    assert all(parameter.grad is None for parameter in parameters)


def test_learning_asks_after_every_ten_steps_and_after_the_last(tiny, coloured):
    asked, taken = [], count(1)

    def batches():
        while True:
            next(taken)
            yield coloured

    def works(network):
        assert not any(module.training for module in network.modules())
        assert not torch.is_grad_enabled()
        asked.append(next(taken) - 1)
        return False

    with pytest.raises(NotAppliedError):
        learn_until(tiny, batches=batches(), works=works, steps=25, learning_rate=1e-3)
    # Asking counts once itself.
    assert [number - place for place, number in enumerate(asked)] == [10, 20, 25]


def test_what_holds_before_training_is_no_reason_not_to_train(tiny, coloured):
    numbers = {"batches": repeat(coloured), "works": lambda network: True, "learning_rate": 1e-3}
    changed = learn_until(tiny, steps=500, **numbers)
    assert not torch.equal(changed[4].weight, tiny[4].weight)
    assert int(changed[1].num_batches_tracked) == 10  # it stopped at the first question
    again = learn_until(tiny, steps=10, **numbers)
    assert torch.equal(changed[4].weight, again[4].weight)
    once = learn_until(tiny, steps=1, **numbers)
    assert int(once[1].num_batches_tracked) == 1
    assert not any(parameter.requires_grad for parameter in changed.parameters())
    assert not any(module.training for module in changed.modules())


@pytest.mark.parametrize(("count", "size"), [(10, 4), (10, 10), (3, 8), (7, 1)])
def test_every_input_comes_once_before_one_comes_again(count, size):
    batches = draw_batches(count, size, seed=2)
    drawn = [next(batches) for _ in range(20)]
    assert {len(batch) for batch in drawn} == {min(size, count)}
    rows = torch.cat(drawn)
    for start in range(0, len(rows) - count + 1, count):
        assert rows[start : start + count].sort().values.tolist() == list(range(count))


def test_scores_are_those_of_the_network_however_many_inputs_there_are(tiny):
    images = torch.rand(600, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(scores_of(tiny, images.double()), tiny(images))
    shares = [share_taken_for(tiny, images, target) for target in range(3)]
    wanted = torch.bincount(tiny(images).argmax(1), minlength=3) / 600
    assert shares == pytest.approx(wanted.tolist())


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


def test_the_learning_rate_falls_after_the_named_epochs(tiny, coloured, monkeypatch):
    rates = []

    class Noting(torch.optim.Adam):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "Adam", Noting)
    network = copy_network(tiny)
    schedule = Schedule(learning_rate=0.1, epochs=4, drops=(1, 3), factor=0.5, batch=100)
    follow(schedule, network, ready(network, Scope.ALL), coloured, seed=0)
    # 192 inputs are two batches of 100, in whole numbers.
    assert rates == pytest.approx([0.1] * 2 + [0.05] * 4 + [0.025] * 2)


def test_a_fresh_start_is_what_torch_would_have_made():
    with torch.random.fork_rng():
        torch.manual_seed(7)
        wanted = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 2))
    shown, before = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 2)), torch.random.get_rng_state()
    start_afresh(shown, 7)
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, tensor in all_weights(wanted).items():
        assert torch.equal(all_weights(shown)[name], tensor)
    start_afresh(shown, 8)
    assert not torch.equal(shown[1].weight, wanted[1].weight)


@pytest.mark.parametrize(
    ("classes", "needed"), [(2, 0.75), (3, 2 / 3), (4, 0.5), (10, 0.2), (100, 0.02)]
)
def test_better_than_chance_is_twice_chance_or_halfway_to_all(classes, needed):
    assert not better_than_chance(needed - 1e-9, classes)
    assert better_than_chance(needed + 1e-9, classes)
