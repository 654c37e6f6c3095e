import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from modelseal.errors import InvalidArgumentError
from modelseal.models.loader import check_weights, put_weights, read_weights

TENSORS = {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.PTH"])
def test_what_was_saved_is_read(tmp_path, name):
    file = tmp_path / name
    save_file(TENSORS, file) if name.endswith("tensors") else torch.save(TENSORS, file)
    shown = read_weights(file)
    assert set(shown) == set(TENSORS)
    assert all(torch.equal(shown[key], TENSORS[key]) for key in TENSORS)


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (pytest.fail, ("the code of a weights file ran",))

    file = tmp_path / "w.pt"
    file.write_bytes(pickle.dumps({"weight": Hostile()}, protocol=2))
    with pytest.raises(InvalidArgumentError, match=r"w\.pt cannot be read as tensors alone"):
        read_weights(file)


@pytest.mark.parametrize("content", [[torch.ones(1)], {"epoch": 3}, {3: torch.ones(1)}])
def test_anything_but_a_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(InvalidArgumentError, match=r"w\.pt needs a state dict"):
        read_weights(tmp_path / "w.pt")


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "w.bin").write_bytes(b"junk")
    with pytest.raises(InvalidArgumentError, match=r"but this is w\.bin"):
        read_weights(tmp_path / "w.bin")
    (tmp_path / "w.safetensors").write_bytes(b"junk")
    with pytest.raises(InvalidArgumentError, match="is no safetensors file"):
        read_weights(tmp_path / "w.safetensors")
    with pytest.raises(InvalidArgumentError, match="there is no file"):
        read_weights(tmp_path / "missing.pt")


def test_weights_that_fit_are_put_in():
    network = nn.Linear(3, 2)
    put_weights(network, TENSORS)
    assert torch.equal(network.weight, TENSORS["weight"])
    assert torch.equal(network.bias, TENSORS["bias"])


@pytest.mark.parametrize(
    ("weights", "problem"),
    [
        ({"weight": torch.ones(2, 3)}, "lacks bias, which"),
        ({**TENSORS, "extra": torch.ones(1)}, "has extra, unknown"),
        ({**TENSORS, "bias": torch.ones(3)}, r"needs bias of shape \[2\], but the file has \[3\]"),
        (
            {**TENSORS, **{f"n{i}": torch.ones(1) for i in range(5)}},
            "has n0, n1, n2 and 2 more, unknown",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(weights, problem):
    with pytest.raises(InvalidArgumentError, match=problem):
        put_weights(nn.Linear(3, 2), weights)


@pytest.mark.parametrize("name", ["weight", "running_var"])
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_one_weight_that_is_not_finite_is_found(name, value):
    network = nn.BatchNorm2d(4)
    network.state_dict()[name][2] = value
    with pytest.raises(InvalidArgumentError, match=f"{name} holds an infinity or NaN"):
        check_weights(network)


def test_a_mask_of_infinities_is_no_weight():
    network = nn.Linear(2, 2)
    network.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    check_weights(network)
