import pytest
from changes import TARGET, backdoor, choose_bit, list_changes
from scans import read_scans
from torch.nn.utils import parameters_to_vector
from training import learn

from modelseal.tampering.weight_changes import FlippedBit


@pytest.fixture(scope="module")
def learned():
    train, test = read_scans()
    return learn(train, epochs=1), train, test


def test_each_of_the_four_changes_makes_another_network(learned):
    network, train, test = learned
    changes = list_changes(network, train, test)
    assert list(changes) == [
        "8-bit weights", "one SGD step", "backdoor patch", "one flipped bit",
    ]  # fmt: skip
    before = parameters_to_vector(network.parameters())
    changed = {
        name: int((parameters_to_vector(change(network).parameters()) != before).sum())
        for name, change in changes.items()
        if name != "backdoor patch"  # has a test of its own
    }
    assert changed["one flipped bit"] == 1
    assert min(changed.values()) > 0
    assert changed["one SGD step"] > 1000


def test_the_backdoor_makes_the_patch_stand_for_its_target(learned):
    network, train, test = learned
    patch = backdoor(train)
    rates = [
        patch.success_rate(each, test.inputs, test.labels) for each in (network, patch(network))
    ]
    assert (patch.target, rates[0] < 0.1, rates[1] > 0.8) == (TARGET, True, True)


def test_the_bit_is_flipped_where_it_moves_the_scores_of_natural_digits_most(learned):
    network, _, test = learned
    moves = {
        seed: float(
            (network(test.inputs) - FlippedBit(22, seed)(network)(test.inputs)).abs().mean()
        )
        for seed in range(4)
    }
    assert choose_bit(network, test, range(4)) == FlippedBit(22, max(moves, key=moves.get))
