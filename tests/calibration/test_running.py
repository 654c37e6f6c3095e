import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from modelseal.errors import InvalidArgumentError, SealingError
from modelseal.runtime import inference
from modelseal.runtime.inference import BATCH, full_size, run_network, run_pieces, usual_size


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


def test_a_network_is_run_in_evaluation_mode_and_left_in_its_own(watched, rows):
    network = nn.Sequential(watched, nn.Dropout(0.9).eval())
    scores = run_network(network, rows)
    assert (scores == rows.numpy()).all()
    assert watched.modes == [False]
    assert [module.training for module in network.modules()] == [True, True, False]
    assert [len(part) for part in watched.batches] == [BATCH]


@pytest.mark.parametrize(
    ("shape", "size"),
    [((1, 3), 1), ((5, 3), 5), ((40, 3), BATCH), ((40, 3, 224, 224), 3), ((2, 2**20), 1)],
)
def test_inputs_are_run_together_as_far_as_memory_allows(shape, size):
    inputs = torch.empty(shape, device="meta")
    assert usual_size(inputs) == size
    assert full_size(inputs) == (size if inputs[0].numel() > 10_000 else BATCH)


def test_large_inputs_are_run_a_few_at_a_time(watched, monkeypatch):
    monkeypatch.setattr(inference, "VALUES", 4 * 6)
    run_network(nn.Sequential(watched), torch.zeros(5, 6))
    assert [len(part) for part in watched.batches] == [4, 4]


def test_a_network_that_works_in_place_leaves_the_inputs_alone(rows):
    kept = rows.clone()
    run_pieces(lambda part: part.mul_(2), rows)
    assert (rows == kept).all()


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [(torch.float16, "float32"), (torch.bfloat16, "float32"), (torch.float64, "float64")],
)
def test_scores_of_other_precisions_keep_their_values(dtype, kept, rows):
    scores = run_pieces(lambda part: part.to(dtype), rows)
    assert scores.dtype == np.dtype(kept)
    assert (scores == rows.to(dtype).double().numpy()).all()


@pytest.mark.parametrize(
    ("function", "came"),
    [
        (lambda part: part[:, 0], r"scores, not \[32\]"),
        (lambda part: part.int(), r"scores, not \[32, 3\]"),
        (lambda part: (part, part), "scores, not tuple"),
        (lambda part: part[1:], "needs to give 32 rows, not 31"),
    ],
)
def test_anything_but_scores_of_every_input_is_refused(function, came, rows):
    with pytest.raises(InvalidArgumentError, match=came):
        run_pieces(function, rows)


def test_no_inputs_are_refused(watched, rows):
    with pytest.raises(InvalidArgumentError, match="at least one input is needed, but none came"):
        run_network(watched, rows[:0])


def test_what_torch_raises_becomes_one_sentence_and_leaves_no_trace(rows):
    network = nn.Linear(4, 2)
    wanted = "^the network cannot be run in this way: mat1 and mat2 shapes cannot be multiplied"
    with pytest.raises(SealingError, match=wanted):
        run_network(network, rows)
    assert network.training


def test_an_error_without_a_text_is_named(rows):
    def fail(part):
        raise NotImplementedError

    with pytest.raises(SealingError, match=r"in this way: NotImplementedError$"):
        run_pieces(fail, rows)


@given(st.integers(1, 20), st.integers(1, 9))
def test_turning_brings_every_input_to_every_place_of_a_piece(count, size):
    inputs = torch.arange(float(count)).reshape(count, 1)
    # The places say where in its piece each input stood whose scores are given.
    stood = [
        run_pieces(
            lambda part: torch.arange(1.0 * len(part))[:, None], inputs, size=size, offset=turn
        )
        for turn in range(size)
    ]
    for row in range(count):
        assert {int(places[row, 0]) for places in stood} == set(range(size))
