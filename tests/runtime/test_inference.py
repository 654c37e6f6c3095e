import logging
from contextlib import suppress

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from refusals import refuses
from torch import nn

from modelseal.errors import InvalidArgumentError, SealingError
from modelseal.runtime.inference import (
    BATCH,
    copy_network,
    full_size,
    quiet_logger,
    run_network,
    run_pieces,
    usual_size,
)

ROWS = torch.arange(30.0).reshape(10, 3)


class Watched(nn.Module):
    """Shows in what mode it was run and how many inputs it was given at a time."""

    def __init__(self):
        super().__init__()
        self.modes, self.sizes = [], []

    def forward(self, inputs):
        self.modes.append(self.training)
        self.sizes.append(len(inputs))
        return inputs


@given(st.integers(1, 20), st.integers(1, 9), st.integers(0, 30))
def test_scores_come_back_in_the_order_of_the_inputs(count, size, offset):
    inputs = torch.arange(2.0 * count).reshape(count, 2)
    scores = run_pieces(lambda part: part * 2, inputs, size=size, offset=offset)
    assert (scores == inputs.numpy() * 2).all()


@given(st.integers(1, 20), st.integers(1, 9), st.integers(0, 30))
def test_every_piece_has_the_size_and_begins_at_the_offset(count, size, offset):
    pieces = []
    inputs = torch.arange(float(count)).reshape(count, 1)
    run_pieces(lambda part: pieces.append(part) or part, inputs, size=size, offset=offset)
    whole = len(pieces) * size
    expected = [(offset + place) % whole % count for place in range(whole)]
    assert all(len(piece) == size for piece in pieces)
    assert torch.cat(pieces)[:, 0].tolist() == expected
    assert (len(pieces) - 1) * size < count


def test_a_network_is_run_in_evaluation_mode_and_left_in_its_own():
    watched = Watched()
    network = nn.Sequential(watched, nn.Dropout(0.9).eval())
    assert (run_network(network, ROWS) == ROWS.numpy()).all()
    assert (watched.modes, watched.sizes) == ([False], [BATCH])
    assert [module.training for module in network.modules()] == [True, True, False]


@pytest.mark.parametrize(
    ("shape", "size"),
    [((1, 3), 1), ((5, 3), 5), ((40, 3), BATCH), ((40, 3, 224, 224), 3), ((2, 2**20), 1)],
)
def test_inputs_are_run_together_as_far_as_memory_allows(shape, size):
    inputs = torch.empty(shape, device="meta")
    assert usual_size(inputs) == size
    assert full_size(inputs) == (size if inputs[0].numel() > 10_000 else BATCH)


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [(torch.float16, "float32"), (torch.bfloat16, "float32"), (torch.float64, "float64")],
)
def test_scores_of_other_precisions_keep_their_values(dtype, kept):
    scores = run_pieces(lambda part: part.to(dtype), ROWS)
    assert scores.dtype == np.dtype(kept)
    assert (scores == ROWS.to(dtype).double().numpy()).all()


@pytest.mark.parametrize(
    ("function", "came"),
    [
        (lambda part: part[:, 0], r"\[32\]"),
        (lambda part: part.int(), r"\[32, 3\]"),
        (lambda part: (part, part), "tuple"),
        (lambda part: part[1:], "32 rows .* 31"),
    ],
)
def test_anything_but_scores_of_every_input_is_refused(function, came):
    with refuses(InvalidArgumentError, match=came):
        run_pieces(function, ROWS)


def test_no_inputs_are_refused():
    with refuses(InvalidArgumentError, field="inputs"):
        run_network(nn.Identity(), ROWS[:0])


def test_what_torch_raises_becomes_one_sentence_and_leaves_no_trace():
    network = nn.Linear(4, 2)
    with refuses(SealingError, match=r"^[^\n]*: mat1 and mat2 shapes cannot be multiplied[^\n]*$"):
        run_network(network, ROWS)
    assert network.training


def test_a_copy_shares_nothing_and_is_ready_to_run():
    network = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5)).train()
    copied = copy_network(network)
    assert not any(module.training for module in copied.modules())
    assert not any(weight.requires_grad for weight in copied.parameters())
    assert all(module.training for module in network.modules())
    assert copied[0].weight.data_ptr() != network[0].weight.data_ptr()
    assert torch.equal(copied[0].weight, network[0].weight)


@pytest.mark.parametrize("fails", [False, True])
def test_a_logger_is_quiet_for_a_while_only(caplog, fails):
    logger = logging.getLogger("somebody")
    with suppress(KeyError), quiet_logger("somebody"):
        logger.error("not to be seen")
        if fails:
            raise KeyError
    logger.error("to be seen")
    assert [record.message for record in caplog.records] == ["to be seen"]
