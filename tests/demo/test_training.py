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


def test_torchs_own_random_numbers_go_on_as_if_nothing_was(parts):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    learn(parts[0], epochs=1)
    assert torch.equal(torch.rand(3), expected)


def test_accuracy_is_the_share_of_digits_that_are_read_right():
    class Sevens(torch.nn.Module):
        def forward(self, inputs):
            return torch.eye(10)[7].expand(len(inputs), 10)

    _, test = read_scans()
    assert accuracy(Sevens(), test) == (test.digits == 7).mean()
