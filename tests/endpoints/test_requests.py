import io
import json
from base64 import b64decode, b64encode
from email import message_from_bytes, policy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from refusals import refuses

from modelseal.domain import Domain, encode_png
from modelseal.endpoints.requests import (
    Carrier,
    Channels,
    Form,
    InputFormat,
    RequestTemplate,
    TensorFormat,
    Unit,
    as_json,
    tensor_format,
)
from modelseal.errors import EndpointError, InvalidArgumentError

IMAGE = Domain(shape=(3, 2, 4), bounds=(-1.0, 1.0))
CODES = np.arange(48, dtype=np.uint8).reshape(2, 3, 2, 4) * 5
SMALL = Domain(shape=(1, 2, 2))
FEW = np.array([[[[0, 255], [51, 102]]], [[[1, 2], [3, 4]]]], np.uint8)
LEVELS = InputFormat(domain=SMALL, unit=Unit.LEVELS)
PNG = InputFormat(domain=SMALL, form=Form.PNG)


@pytest.mark.parametrize("unit", Unit)
@pytest.mark.parametrize("channels", Channels)
def test_lists_hold_the_numbers_that_are_wanted_in_the_order_that_is_wanted(unit, channels):
    numbers = CODES if unit is Unit.LEVELS else IMAGE.decode(CODES)
    wanted = numbers.transpose(0, 2, 3, 1) if channels is Channels.LAST else numbers

    def encode(form):
        return InputFormat(domain=IMAGE, form=form, unit=unit, channels=channels).encode(CODES)

    assert encode(Form.NESTED) == wanted.tolist()
    assert encode(Form.FLAT) == wanted.reshape(2, -1).tolist()
    dtype = np.uint8 if unit is Unit.LEVELS else "<f4"
    for row, content in zip(wanted, encode(Form.BYTES), strict=True):
        assert np.array_equal(np.frombuffer(content, dtype).reshape(row.shape), row)


@pytest.mark.parametrize("shape", [(5, 7), (1, 5, 7), (3, 5, 7)])
@given(seed=st.integers(0, 1000))
def test_a_png_file_holds_every_level_exactly(shape, seed):
    domain = Domain(shape=shape, bounds=(-2.0, 3.0))
    codes = np.random.default_rng(seed).integers(0, 256, (2, *shape), dtype=np.uint8)
    items = as_json(InputFormat(domain=domain, form=Form.PNG).encode(codes))
    for code, item in zip(codes, items, strict=True):
        with Image.open(io.BytesIO(b64decode(item)), formats=("PNG",)) as opened:
            assert opened.mode == ("RGB" if shape[0] == 3 else "L")
            pixels = np.asarray(opened)
        back = pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels.reshape(shape)
        assert np.array_equal(back, code)


@pytest.mark.parametrize(
    ("domain", "settings"),
    [
        (Domain(shape=(4, 2, 2)), {"form": Form.PNG}),
        (Domain(shape=(8,)), {"form": Form.PNG}),
        (Domain(shape=(1, 2, 2), levels=16), {"form": Form.PNG}),
        (Domain(shape=(1, 2, 2), levels=0), {"form": Form.PNG}),
        (Domain(shape=(1, 2, 2), levels=0), {"unit": Unit.LEVELS}),
        (Domain(shape=(8,)), {"channels": Channels.LAST}),
    ],
)
def test_inputs_that_would_be_changed_on_their_way_are_refused(domain, settings):
    with refuses(InvalidArgumentError):
        InputFormat(domain=domain, **settings)


@pytest.mark.parametrize(
    "encode",
    [
        InputFormat(domain=IMAGE).encode,
        lambda codes: TensorFormat(name="x").arrange(codes, IMAGE),
        lambda codes: TensorFormat(name="x", datatype="UINT8").arrange(codes, IMAGE),
    ],
)
def test_inputs_of_another_domain_are_never_sent(encode):
    with refuses(InvalidArgumentError):
        encode(CODES[:, :1])


@pytest.mark.parametrize(
    ("text", "size", "body"),
    [
        ("$inputs", 0, FEW.tolist()),
        ('"$inputs"', 0, FEW.tolist()),
        ('{"instances": "$inputs", "n": 1}', 0, {"instances": FEW.tolist(), "n": 1}),
        ('{"a": [{"b": "$input"}, null]}', 1, {"a": [{"b": FEW[0].tolist()}, None]}),
        ('{"$input": "$inputs"}', 0, {"$input": FEW.tolist()}),
    ],
)
def test_inputs_stand_in_the_place_of_the_placeholder_which_is_no_key(text, size, body):
    template = RequestTemplate(inputs=LEVELS, text=text)
    assert template.size == size
    message = template.render(FEW)
    assert (json.loads(message.body), message.content_type) == (body, "application/json")


def test_bytes_are_base64_also_within_a_longer_string():
    text = '{"image": "data:image/png;base64,$input"}'
    message = RequestTemplate(inputs=PNG, text=text).render(FEW)
    wanted = f"data:image/png;base64,{b64encode(encode_png(FEW[0])).decode()}"
    assert json.loads(message.body) == {"image": wanted}


def test_a_body_is_the_input_itself():
    template = RequestTemplate(inputs=PNG, carrier=Carrier.BODY)
    message = template.render(FEW[:1])
    assert (template.size, message.content_type) == (1, "image/png")
    assert message.body == encode_png(FEW[0])
    raw = InputFormat(domain=SMALL, form=Form.BYTES)
    sent = RequestTemplate(inputs=raw, carrier=Carrier.BODY).render(FEW[:1])
    assert sent.content_type == "application/octet-stream"
    assert sent.body == SMALL.decode(FEW[:1]).astype("<f4").tobytes()
    named = RequestTemplate(inputs=raw, carrier=Carrier.BODY, content_type="application/x-npy")
    assert named.render(FEW[:1]).content_type == "application/x-npy"


def test_a_form_holds_one_file_that_a_stranger_can_read():
    template = RequestTemplate(inputs=PNG, carrier=Carrier.MULTIPART, field="picture")
    message = template.render(FEW[:1])
    whole = f"Content-Type: {message.content_type}\r\n\r\n".encode() + message.body
    (part,) = message_from_bytes(whole, policy=policy.HTTP).iter_parts()
    assert part.get_content_type() == "image/png"
    assert part.get_param("name", header="content-disposition") == "picture"
    assert part.get_filename() == "image.png"
    assert part.get_payload(decode=True) == encode_png(FEW[0])
    assert template.size == 1


@pytest.mark.parametrize(
    "settings",
    [
        *({"text": "{"}, {"text": '["$inputs", "\\ud800"]'}),
        *({"text": '["$inputs", 99999999999999999999]'}, {"text": '["$inputs", 1e400]'}),
        *({"text": 252 * "[" + '"$inputs"' + 252 * "]"}, {"text": '{"a": 1}'}),
        *({"text": '["$input", "$input"]'}, {"text": '"x $input"'}),
        *({"text": '"x $inputs"', "inputs": PNG}, {"carrier": Carrier.BODY}),
        *({"carrier": Carrier.MULTIPART}, {"field": 'a"b'}, {"field": "a\r\nb"}),
    ],
)
def test_a_template_that_could_not_be_sent_is_refused(settings):
    with refuses(InvalidArgumentError):
        RequestTemplate(**{"inputs": LEVELS, **settings})


TENSOR = Domain(shape=(3, 4, 5))


@pytest.mark.parametrize(
    ("shape", "batch", "channels_last"),
    [
        *(([-1, 3, 4, 5], 0, False), ([1, 3, 4, 5], 1, False), ([8, 3, 4, 5], 8, False)),
        *(([-1, 3, -1, -1], 0, False), ([-1, -1, -1, -1], 0, False), ([-1, 4, 5, 3], 0, True)),
        ([2, -1, -1, 3], 2, True),
    ],
)
def test_batch_size_and_order_of_channels_are_read_from_the_declared_shape(
    shape, batch, channels_last
):
    found = tensor_format("x", "FP32", shape, TENSOR)
    assert (found.name, found.batch, found.channels_last) == ("x", batch, channels_last)


@pytest.mark.parametrize(
    "shape", [[], [-1], [3, 4, 5], [-1, 3, 5, 4], [-1, 5, 4, 3], [0, 3, 4, 5], [-1, 3, 4, 5, 1]]
)
def test_another_shape_is_refused_with_both_shapes_in_the_sentence(shape):
    with pytest.raises(EndpointError, match=r"\[-1, 3, 4, 5\]") as caught:
        tensor_format("x", "FP32", shape, TENSOR)
    assert str(caught.value).endswith(str(shape))


@pytest.mark.parametrize("datatype", ["FP16", "BF16", "INT8", "BYTES", ""])
def test_types_that_would_move_the_values_are_refused(datatype):
    with pytest.raises(EndpointError, match=f"got {datatype}"):
        tensor_format("x", datatype, [-1, 3, 4, 5], TENSOR)


def test_equal_axes_stay_in_the_domains_order():
    assert not tensor_format("x", "FP32", [-1, 3, 3, 3], Domain(shape=(3, 3, 3))).channels_last


def test_channels_last_moves_the_first_axis_and_nothing_else():
    codes = np.arange(2 * 60, dtype=np.uint8).reshape(2, 3, 4, 5)
    moved = TensorFormat(name="x", datatype="UINT8", channels_last=True).arrange(codes, TENSOR)
    assert moved.flags.c_contiguous
    for sample, channel, row, column in np.ndindex(2, 3, 4, 5):
        assert moved[sample, row, column, channel] == codes[sample, channel, row, column]


@pytest.mark.parametrize(("datatype", "dtype"), [("FP32", np.float32), ("FP64", np.float64)])
def test_fractions_are_the_decoded_values_exactly(datatype, dtype):
    codes = np.arange(120, dtype=np.uint8).reshape(2, 3, 4, 5)
    sent = TensorFormat(name="x", datatype=datatype).arrange(codes, TENSOR)
    assert sent.dtype == dtype
    assert np.array_equal(sent, TENSOR.decode(codes))


@pytest.mark.parametrize(
    ("domain", "codes", "sent"),
    [
        # The level numbers of 256 levels, whatever the bounds.
        (Domain(shape=(3,), bounds=(-1.0, 1.0)), [7, 0, 255], [7, 0, 255]),
        # The values of fewer levels, if these are whole.
        (Domain(shape=(3,), bounds=(10.0, 14.0), levels=3), [0, 1, 2], [10, 12, 14]),
    ],
)
def test_bytes_are_level_numbers_or_whole_values(domain, codes, sent):
    array = TensorFormat(name="x", datatype="UINT8").arrange(np.array([codes], np.uint8), domain)
    assert (array.dtype, array.tolist()) == (np.uint8, [sent])


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
    with refuses(EndpointError):
        TensorFormat(name="x", datatype="UINT8").arrange(codes, domain)
