import numpy as np
import torch
from scans import TRAINED, read_scans


def test_all_scans_are_used_once_and_in_the_same_order_every_time():
    train, test = read_scans()
    assert (len(train.codes), len(test.codes)) == (TRAINED, 1797 - TRAINED)
    again, _ = read_scans()
    assert np.array_equal(train.codes, again.codes)
    assert np.bincount([*train.digits, *test.digits]).min() > 170


def test_scans_are_eight_bit_images_of_which_the_network_takes_values_from_0_to_1():
    _, test = read_scans()
    assert (test.codes.dtype, test.codes.shape[1:]) == (np.uint8, (1, 32, 32))
    assert (test.codes.min(), test.codes.max()) == (0, 255)
    assert test.inputs.dtype == torch.float32
    assert (float(test.inputs.min()), float(test.inputs.max())) == (0.0, 1.0)
