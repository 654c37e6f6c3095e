import io
from base64 import b64decode

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from modelseal.domain import Domain, encode_png
from modelseal.endpoints.encoding import Channels, Form, Sending, Unit, as_json
from modelseal.errors import InvalidArgumentError

IMAGE = Domain(shape=(3, 2, 4), bounds=(-1.0, 1.0))
CODES = np.arange(48, dtype=np.uint8).reshape(2, 3, 2, 4) * 5


@pytest.mark.parametrize("unit", Unit)
@pytest.mark.parametrize("channels", Channels)
def test_lists_hold_the_numbers_that_are_wanted_in_the_order_that_is_wanted(unit, channels):
    numbers = CODES if unit is Unit.LEVELS else IMAGE.decode(CODES)
    wanted = numbers.transpose(0, 2, 3, 1) if channels is Channels.LAST else numbers
    nested = Sending(domain=IMAGE, unit=unit, channels=channels).items(CODES)
    assert nested == wanted.tolist()
    flat = Sending(domain=IMAGE, form=Form.FLAT, unit=unit, channels=channels).items(CODES)
    assert flat == wanted.reshape(2, -1).tolist()
    sent = Sending(domain=IMAGE, form=Form.BYTES, unit=unit, channels=channels).items(CODES)
    dtype = np.uint8 if unit is Unit.LEVELS else "<f4"
    for row, content in zip(wanted, sent, strict=True):
        assert np.array_equal(np.frombuffer(content, dtype).reshape(row.shape), row)


@pytest.mark.parametrize("shape", [(5, 7), (1, 5, 7), (3, 5, 7)])
@given(seed=st.integers(0, 1000))
def test_a_png_file_holds_every_level_exactly(shape, seed):
    domain = Domain(shape=shape, bounds=(-2.0, 3.0))
    codes = np.random.default_rng(seed).integers(0, 256, (2, *shape), dtype=np.uint8)
    sending = Sending(domain=domain, form=Form.PNG)
    for code, item in zip(codes, as_json(sending.items(codes)), strict=True):
        with Image.open(io.BytesIO(b64decode(item)), formats=("PNG",)) as opened:
            assert opened.mode == ("RGB" if shape[0] == 3 else "L")
            pixels = np.asarray(opened)
        back = pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels.reshape(shape)
        assert np.array_equal(back, code)
    assert encode_png(codes[0]).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("domain", "settings", "message"),
    [
        (
            Domain(shape=(4, 2, 2)),
            {"form": Form.PNG},
            "needs 256 levels and one or three",
        ),
        (Domain(shape=(8,)), {"form": Form.PNG}, r"inputs have shape \[8\] and 256 levels"),
        (Domain(shape=(1, 2, 2), levels=16), {"form": Form.PNG}, "and 16 levels"),
        (Domain(shape=(1, 2, 2), levels=0), {"form": Form.PNG}, "and 0 levels"),
        (Domain(shape=(1, 2, 2), levels=0), {"unit": Unit.LEVELS}, "but the inputs have none"),
        (Domain(shape=(8,)), {"channels": Channels.LAST}, r"inputs have shape \[8\]"),
    ],
)
def test_inputs_that_would_be_changed_on_their_way_are_refused(domain, settings, message):
    with pytest.raises(InvalidArgumentError, match=message):
        Sending(domain=domain, **settings)


def test_inputs_of_another_domain_are_refused():
    with pytest.raises(InvalidArgumentError, match="inputs need shape"):
        Sending(domain=IMAGE).items(CODES[:, :1])
