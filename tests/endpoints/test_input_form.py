import numpy as np
import pytest

from modelseal.domain import Domain
from modelseal.endpoints.encoding import InputForm, input_form
from modelseal.errors import EndpointError, InvalidArgumentError

IMAGE = Domain(shape=(3, 4, 5))


@pytest.mark.parametrize(
    ("shape", "batch", "channels_last"),
    [
        ([-1, 3, 4, 5], 0, False),
        ([1, 3, 4, 5], 1, False),
        ([8, 3, 4, 5], 8, False),
        ([-1, 3, -1, -1], 0, False),
        ([-1, -1, -1, -1], 0, False),
        ([-1, 4, 5, 3], 0, True),
        ([2, -1, -1, 3], 2, True),
    ],
)
def test_batch_size_and_order_of_channels_are_read_from_the_declared_shape(
    shape, batch, channels_last
):
    form = input_form("x", "FP32", shape, IMAGE)
    assert (form.name, form.batch, form.channels_last) == ("x", batch, channels_last)


@pytest.mark.parametrize(
    "shape", [[], [-1], [3, 4, 5], [-1, 3, 5, 4], [-1, 5, 4, 3], [0, 3, 4, 5], [-1, 3, 4, 5, 1]]
)
def test_another_shape_is_refused_with_both_shapes_in_the_sentence(shape):
    with pytest.raises(EndpointError, match=r"shape \[-1, 3, 4, 5\] was wanted, but it takes") as e:
        input_form("x", "FP32", shape, IMAGE)
    assert str(e.value).endswith(str(shape))


@pytest.mark.parametrize("datatype", ["FP16", "BF16", "INT8", "BYTES", ""])
def test_types_that_would_move_the_values_are_refused(datatype):
    with pytest.raises(EndpointError, match=f"FP32, FP64 or UINT8 was wanted, not {datatype}"):
        input_form("x", datatype, [-1, 3, 4, 5], IMAGE)


def test_equal_axes_stay_in_the_domains_order():
    assert not input_form("x", "FP32", [-1, 3, 3, 3], Domain(shape=(3, 3, 3))).channels_last


def test_channels_last_moves_the_first_axis_and_nothing_else():
    codes = np.arange(2 * 60, dtype=np.uint8).reshape(2, 3, 4, 5)
    form = InputForm(name="x", datatype="UINT8", channels_last=True)
    moved = form.arrange(codes, IMAGE)
    assert moved.flags.c_contiguous
    for index in np.ndindex(2, 3, 4, 5):
        sample, channel, row, column = index
        assert moved[sample, row, column, channel] == codes[index]


@pytest.mark.parametrize(("datatype", "dtype"), [("FP32", np.float32), ("FP64", np.float64)])
def test_fractions_are_the_decoded_values_exactly(datatype, dtype):
    codes = np.arange(120, dtype=np.uint8).reshape(2, 3, 4, 5)
    sent = InputForm(name="x", datatype=datatype).arrange(codes, IMAGE)
    assert sent.dtype == dtype
    assert np.array_equal(sent, IMAGE.decode(codes))


def test_bytes_are_the_level_numbers_of_256_levels_whatever_the_bounds():
    codes = np.arange(120, dtype=np.uint8).reshape(2, 3, 4, 5)
    domain = Domain(shape=(3, 4, 5), bounds=(-1.0, 1.0))
    assert np.array_equal(InputForm(name="x", datatype="UINT8").arrange(codes, domain), codes)


def test_bytes_are_the_values_of_fewer_levels_if_these_are_whole():
    domain = Domain(shape=(3,), bounds=(10.0, 14.0), levels=3)
    sent = InputForm(name="x", datatype="UINT8").arrange(np.array([[0, 1, 2]], np.uint8), domain)
    assert (sent.dtype, sent.tolist()) == (np.uint8, [[10, 12, 14]])


@pytest.mark.parametrize(
    "domain",
    [
        Domain(shape=(2,), bounds=(0.0, 1.0), levels=3),
        Domain(shape=(2,), bounds=(-2.0, 2.0), levels=5),
        Domain(shape=(2,), bounds=(0.0, 300.0), levels=2),
        Domain(shape=(2,), bounds=(0.0, 1.0), levels=0),
    ],
)
def test_values_that_are_no_bytes_are_not_sent_as_bytes(domain):
    codes = np.zeros((1, 2), np.uint8 if domain.levels else np.float32)
    with pytest.raises(EndpointError, match="the inputs' values are no bytes"):
        InputForm(name="x", datatype="UINT8").arrange(codes, domain)


@pytest.mark.parametrize("datatype", ["FP32", "UINT8"])
def test_codes_of_another_domain_are_never_sent(datatype):
    with pytest.raises(InvalidArgumentError, match="inputs need shape"):
        InputForm(name="x", datatype=datatype).arrange(np.zeros((1, 2), np.uint8), IMAGE)
