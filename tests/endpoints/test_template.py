import json
from base64 import b64encode
from email import message_from_bytes, policy

import numpy as np
import pytest

from modelseal.domain import Domain, encode_png
from modelseal.endpoints.encoding import Form, Sending, Unit
from modelseal.endpoints.template import Carrier, Template, marks
from modelseal.errors import InvalidArgumentError

DOMAIN = Domain(shape=(1, 2, 2))
CODES = np.array([[[[0, 255], [51, 102]]], [[[1, 2], [3, 4]]]], np.uint8)
LEVELS = Sending(domain=DOMAIN, unit=Unit.LEVELS)
PNG = Sending(domain=DOMAIN, form=Form.PNG)


@pytest.mark.parametrize(
    ("text", "size", "body"),
    [
        ("$inputs", 0, CODES.tolist()),
        ('"$inputs"', 0, CODES.tolist()),
        ('{"instances": "$inputs", "n": 1}', 0, {"instances": CODES.tolist(), "n": 1}),
        ('{"a": [{"b": "$input"}, null]}', 1, {"a": [{"b": CODES[0].tolist()}, None]}),
    ],
)
def test_inputs_stand_in_the_place_of_the_placeholder(text, size, body):
    template = Template(sending=LEVELS, text=text)
    assert template.size == size
    message = template.render(CODES)
    assert (json.loads(message.body), message.content_type) == (body, "application/json")


def test_bytes_are_base64_also_within_a_longer_string():
    text = '{"image": "data:image/png;base64,$input"}'
    message = Template(sending=PNG, text=text).render(CODES)
    wanted = f"data:image/png;base64,{b64encode(encode_png(CODES[0])).decode()}"
    assert json.loads(message.body) == {"image": wanted}


def test_a_body_is_the_input_itself():
    template = Template(sending=PNG, carrier=Carrier.BODY)
    message = template.render(CODES[:1])
    assert (template.size, message.content_type) == (1, "image/png")
    assert message.body == encode_png(CODES[0])
    raw = Sending(domain=DOMAIN, form=Form.BYTES)
    sent = Template(sending=raw, carrier=Carrier.BODY).render(CODES[:1])
    assert sent.content_type == "application/octet-stream"
    assert sent.body == DOMAIN.decode(CODES[:1]).astype("<f4").tobytes()
    named = Template(sending=raw, carrier=Carrier.BODY, content_type="application/x-npy")
    assert named.render(CODES[:1]).content_type == "application/x-npy"


def test_a_form_holds_one_file_that_a_stranger_can_read():
    template = Template(sending=PNG, carrier=Carrier.MULTIPART, field="picture")
    message = template.render(CODES[:1])
    whole = f"Content-Type: {message.content_type}\r\n\r\n".encode() + message.body
    (part,) = message_from_bytes(whole, policy=policy.HTTP).iter_parts()
    assert part.get_content_type() == "image/png"
    assert part.get_param("name", header="content-disposition") == "picture"
    assert part.get_filename() == "image.png"
    assert part.get_payload(decode=True) == encode_png(CODES[0])
    assert template.size == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"text": "{"}, "a template is JSON, but: JSON was wanted"),
        ({"text": '["$inputs", "\\ud800"]'}, "a template is sent as JSON, but: .*surrogate"),
        ({"text": '["$inputs", 99999999999999999999]'}, "a template is sent as JSON, but: .*64"),
        ({"text": '["$inputs", 1e400]'}, "is sent as JSON, but a number in it is not finite"),
        (
            {"text": 252 * "[" + '"$inputs"' + 252 * "]"},
            "a template is sent as JSON, but: .*ecursion",
        ),
        ({"text": '{"a": 1}'}, "one placeholder, .* was wanted, but there are 0"),
        ({"text": '["$input", "$input"]'}, "but there are 2"),
        ({"text": '"x $input"'}, "within a longer string is '.input' for base64"),
        ({"text": '"x $inputs"', "sending": PNG}, "within a longer string"),
        ({"carrier": Carrier.BODY}, "png or bytes are wanted for a body, but inputs are nested"),
        ({"carrier": Carrier.MULTIPART}, "wanted for a multipart, but inputs are nested"),
        ({"field": 'a"b'}, "field: a name of ASCII was wanted"),
        ({"field": "a\r\nb"}, "field: a name of ASCII was wanted"),
    ],
)
def test_a_template_that_could_not_be_sent_is_refused(settings, message):
    with pytest.raises(InvalidArgumentError, match=message):
        Template(**{"sending": LEVELS, **settings})


def test_keys_are_no_placeholders():
    assert marks({"$input": ["$inputs", 1]}) == ["$inputs"]
