import pytest
import torch

from scale_detection import compare


def test_labels_and_scores_are_compared_row_by_row():
    before = torch.tensor([[3.0, 2.0], [1.0, 2.0], [5.0, 1.0], [0.0, 1.0]])
    after = torch.tensor([[1.0, 2.0], [1.0, 2.0], [4.0, 1.0], [0.0, 1.0]])
    assert compare(before, after) == pytest.approx((0.25, 1.0, 0.5))
    assert compare(before, before) == (0, 0, 0)
