import pytest
import torch

from modelseal.errors import InvalidArgumentError
from modelseal.models.devices import find_device


def test_a_device_is_found_by_its_name():
    assert find_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "", "meta"])
def test_a_device_that_is_not_here_is_told(name):
    with pytest.raises(InvalidArgumentError, match=r"a device .* was wanted"):
        find_device(name)
