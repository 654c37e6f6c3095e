import pytest
import torch
from scans import Scans, read_scans
from training import accuracy, learn


@pytest.fixture(scope="module")
def parts():
    train, test = read_scans()
    return Scans(codes=train.codes[:384], digits=train.digits[:384]), test


def test_a_few_steps_teach_most_digits(parts):
    train, test = parts
    assert accuracy(learn(train, epochs=0), test) < 0.3
    assert accuracy(learn(train, epochs=4), test) > 0.7


def test_the_same_seed_gives_the_same_network_and_another_seed_another_one(parts):
    first, again, other = (learn(parts[0], epochs=1, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first[-1].weight, again[-1].weight)
    assert not torch.equal(first[-1].weight, other[-1].weight)
