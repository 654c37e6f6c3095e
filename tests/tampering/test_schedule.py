import pytest
import torch
from torch import nn

from modelseal.errors import InvalidArgumentError
from modelseal.runtime.inference import copy_network
from modelseal.tampering.base import all_weights
from modelseal.tampering.training import (
    BIVBENCH,
    Schedule,
    Scope,
    better_than_chance,
    follow,
    ready,
    start_afresh,
    steps_in_epoch,
)


def test_the_schedule_of_bivbench_is_its():
    assert repr(BIVBENCH) == (
        "Schedule(learning_rate=0.001, epochs=20, drops=(5, 10, 15), factor=0.2, batch=128)"
    )


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


@pytest.mark.parametrize(
    ("count", "batch", "steps"), [(10, 5, 2), (10, 4, 3), (10, 10, 1), (3, 8, 1), (7, 1, 7)]
)
def test_an_epoch_has_as_many_steps_as_inputs_need(count, batch, steps):
    assert steps_in_epoch(count, batch) == steps


@pytest.mark.parametrize(
    "wrong",
    [
        {"learning_rate": 0.0},
        {"epochs": 0},
        {"batch": 0},
        {"factor": 0.0},
        {"factor": 1.5},
        {"drops": (0, 3)},
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(InvalidArgumentError):
        Schedule(**wrong)


def test_a_fresh_start_forgets_every_weight_and_leaves_the_global_randomness(tiny):
    with torch.no_grad():
        tiny[1].running_var.fill_(2.0)
    before, global_state = copy_network(tiny), torch.random.get_rng_state()
    start_afresh(tiny, 1)
    assert torch.equal(torch.random.get_rng_state(), global_state)
    for layer in (0, 4):
        old, new = before[layer].weight.flatten(), tiny[layer].weight.flatten()
        # 216 and 1,536 independent draws: a correlation of 0.25 is four standard deviations.
        assert abs(torch.corrcoef(torch.stack([old, new]))[0, 1]) < 0.25
        assert not torch.equal(before[layer].bias, tiny[layer].bias)
    assert torch.equal(tiny[1].running_var, torch.ones(8))


def test_a_fresh_start_is_what_torch_would_have_made():
    with torch.random.fork_rng():
        torch.manual_seed(7)
        wanted = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 2))
    shown = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 2))
    start_afresh(shown, 7)
    for name, tensor in all_weights(wanted).items():
        assert torch.equal(all_weights(shown)[name], tensor)
    start_afresh(shown, 8)
    assert not torch.equal(shown[1].weight, wanted[1].weight)


def test_what_no_module_resets_stays():
    network = nn.Sequential(nn.Linear(2, 2))
    network.register_parameter("own", nn.Parameter(torch.full((3,), 7.0)))
    start_afresh(network, 0)
    assert network.own.tolist() == [7, 7, 7]


@pytest.mark.parametrize(
    ("classes", "needed"), [(2, 0.75), (3, 2 / 3), (4, 0.5), (10, 0.2), (100, 0.02)]
)
def test_better_than_chance_is_twice_chance_or_halfway_to_all(classes, needed):
    assert not better_than_chance(needed - 1e-9, classes)
    assert better_than_chance(needed + 1e-9, classes)
