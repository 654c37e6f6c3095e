"""The digest of a network's weights, whatever their type."""

import pytest
import torch
from torch import nn

from modelseal.fingerprint.codec import weights_digest
from modelseal.sealing.candidates import digest_network


class Noted(nn.Module):
    """A layer with weights of any type, and a note that is no tensor."""

    def __init__(self, dtype, note="as made"):
        super().__init__()
        self.weight = nn.Parameter(torch.arange(6.0).reshape(3, 2).to(dtype))
        self.register_buffer("count", torch.tensor(7))
        self.note = note

    def get_extra_state(self):
        return self.note


def test_the_digest_is_that_of_all_weights_and_statistics():
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    arrays = {name: tensor.detach().numpy().copy() for name, tensor in network.state_dict().items()}
    assert len(arrays) == 7
    assert digest_network(network) == weights_digest(arrays)
    network[1].running_var[1] += 1e-6  # numbers that no optimiser touches count as well
    assert digest_network(network) != weights_digest(arrays)


@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64, torch.complex64]
)
def test_one_changed_bit_changes_the_digest_whatever_the_type_of_the_weights(dtype):
    network, same, changed = Noted(dtype), Noted(dtype), Noted(dtype)
    with torch.no_grad():
        changed.weight.view(torch.uint8)[0, 0] ^= 1
        same.weight.data = same.weight.T.contiguous().T
    assert not same.weight.is_contiguous()
    assert digest_network(network) == digest_network(same)
    assert digest_network(network) != digest_network(changed)


def test_what_a_module_notes_beside_its_tensors_is_no_part_of_the_digest():
    plain, other = Noted(torch.float32), Noted(torch.float32, note="copied")
    assert digest_network(plain) == digest_network(other)
