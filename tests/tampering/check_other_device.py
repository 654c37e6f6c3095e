"""A network that is not on the CPU is changed there, and as on the CPU."""

import copy

import pytest
import torch
from other_device import add_device

from modelseal.errors import NotAppliedError
from modelseal.tampering.catalogue import GROUPS, Data, list_changes, list_names

DEVICE = add_device()


@pytest.fixture
def changed(digits, reader):
    """Gives the weights that a change makes on a device, and how the copy answers there."""
    (images, labels), (test, classes) = digits

    def change(name, device):
        data = Data(
            train_inputs=images[:200].to(device),
            train_labels=labels[:200],
            test_inputs=test.to(device),
            test_labels=classes,
            classes=10,
            white=1.0,
        )
        recipe = list_changes(name, data)[-1].recipe(3)
        try:
            other = recipe(copy.deepcopy(reader).to(device))
        except NotAppliedError as reason:
            return str(reason)
        with torch.no_grad():
            scores = other(data.test_inputs)
        assert scores.device.type == device
        state = other.state_dict().values()
        return [scores.cpu(), *(each.cpu() for each in state if isinstance(each, torch.Tensor))]

    return change


@pytest.mark.parametrize("name", [name for name in list_names() if name not in GROUPS])
def test_every_change_is_the_same_on_another_device(name, changed):
    near, far = changed(name, "cpu"), changed(name, DEVICE)
    if isinstance(near, str):
        # Four steps and moves of a few levels are too little for so small a network.
        assert name in {"unlearning", "clean-label"}
        assert far == near
    else:
        assert len(far) == len(near)
        assert all(map(torch.equal, far, near))
