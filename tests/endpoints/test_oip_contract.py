import pytest

from modelseal.domain import Domain
from modelseal.endpoints.encoding import InputForm
from modelseal.endpoints.oip.rest_codec import Contract, read_contract
from modelseal.errors import EndpointError

IMAGE = Domain(shape=(3, 4, 5))
INPUT = {"name": "x", "datatype": "UINT8", "shape": [-1, 3, 4, 5]}
BINARY = {"extensions": ["other", "binary_tensor_data"]}


def test_full_metadata_say_how_the_model_is_asked():
    model = {
        "name": "m",
        "versions": ["7"],
        "platform": "p",
        "inputs": [INPUT],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 10]}, {"name": "z"}],
    }
    assert read_contract(model, BINARY, IMAGE) == Contract(
        form=InputForm(name="x", datatype="UINT8"), output="y", version="7", binary=True
    )


@pytest.mark.parametrize(
    "model",
    [
        {},
        {"name": "m", "versions": None, "inputs": [], "outputs": []},
        {"inputs": None, "outputs": None, "versions": []},
    ],
)
def test_a_model_that_declares_nothing_is_asked_with_fp32_under_the_name_input(model):
    form = InputForm(name="input", datatype="FP32", batch=0, channels_last=False)
    assert read_contract(model, {}, IMAGE) == Contract(form=form)


def test_a_name_that_nothing_can_send_back_is_refused():
    with pytest.raises(EndpointError, match=r'name: a text of whole .*, but "x\\ud800" came$'):
        read_contract({"inputs": [INPUT | {"name": "x\ud800"}]}, {}, IMAGE)


def test_several_versions_are_none_in_particular():
    assert read_contract({"versions": ["1", "2"]}, {}, IMAGE).version == ""


@pytest.mark.parametrize(
    ("model", "server", "binary"),
    [
        ({}, BINARY, True),
        (BINARY, {}, True),
        ({}, {"extensions": ["binary"]}, False),
        ({}, {"extensions": "binary_tensor_data"}, False),
        ({"extensions": None}, {"extensions": []}, False),
    ],
)
def test_bytes_travel_only_if_the_extension_is_listed(model, server, binary):
    assert read_contract(model, server, IMAGE).binary is binary


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"inputs": 3}, "inputs: a list was wanted, but 3 came"),
        ({"inputs": ["x"]}, r'inputs\[0\]: an object was wanted, not "x"'),
        ({"inputs": [INPUT, INPUT]}, "a model with one input was wanted, but it has 2"),
        ({"inputs": [INPUT | {"name": None}]}, "name: a text was wanted, but nothing came"),
        ({"inputs": [INPUT | {"datatype": 1}]}, "datatype: a text was wanted, but 1 came"),
        ({"inputs": [INPUT | {"datatype": "BYTES"}]}, "FP32, FP64 or UINT8 was wanted, not BYTES"),
        ({"inputs": [INPUT | {"shape": None}]}, "shape: a list was wanted, but nothing came"),
        ({"inputs": [INPUT | {"shape": [-1, 3, 5, 4]}]}, r"was wanted, but it takes \[-1, 3, 5, 4"),
        ({"outputs": [{}]}, "name: a text was wanted, but nothing came"),
        ({"versions": "1"}, 'versions: a list was wanted, but "1" came'),
    ],
)
def test_metadata_that_are_malformed_or_for_other_inputs_are_refused(model, message):
    with pytest.raises(EndpointError, match=message):
        read_contract(model, {}, IMAGE)
