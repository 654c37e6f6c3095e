import numpy as np
import pytest

from modelseal.domain import Domain
from modelseal.endpoints.oip.rest_client import OipEndpoint
from modelseal.errors import InvalidArgumentError
from modelseal.outputs.answers import Kind

DOMAIN = Domain(shape=(2, 3))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host/v2/models/m",
        "ftp://host/v2/models/m",
        "http:///v2/models/m",
        "http://host",
        "http://host/v2/models",
        "http://host/v2/models/",
        "http://host/v1/models/m",
        "http://host/v2/models/m/infer",
        "http://host/v2/models/m/versions",
        "http://host/v2/models/m?x=1",
        "http://host/v2/models/m#x",
        "http://host/v2/models/m m",
        "http://host:port/v2/models/m",
        "http://host:0/v2/models/m",
        "http://host:99999/v2/models/m",
        "http://[::1/v2/models/m",
    ],
)
def test_an_address_of_another_form_is_the_callers_mistake(url):
    with pytest.raises(InvalidArgumentError, match=r"URL is http\(s\)://host/v2/models/NAME, but"):
        OipEndpoint(url, DOMAIN)


@pytest.mark.parametrize(
    "url",
    [
        "http://host/v2/models/m",
        "https://host:8443/v2/models/my-model/",
        "http://[::1]:8000/v2/models/m/versions/1",
        "http://host/prefix/v2/models/m",
    ],
)
def test_an_address_of_the_right_form_is_taken(url):
    assert OipEndpoint(url, DOMAIN).url == url.rstrip("/")


@pytest.mark.parametrize("timeout", [0.0, -1.0, np.inf, np.nan])
def test_a_timeout_that_is_none_is_the_callers_mistake(timeout):
    with pytest.raises(InvalidArgumentError, match="timeout needs positive seconds"):
        OipEndpoint("http://host/v2/models/m", DOMAIN, timeout=timeout)


def test_fractions_cannot_be_labels():
    with pytest.raises(InvalidArgumentError, match="shows needs scores or probabilities"):
        OipEndpoint("http://host/v2/models/m", DOMAIN, shows=Kind.LABELS)


def test_names_in_the_address_may_be_escaped(canned, reply):
    path = "/v2/models/a%20b/versions/1%2B"
    canned.routes[("GET", path)] = reply({"name": "a b"})
    output = {"name": "y", "datatype": "INT64", "shape": [1], "data": [3]}
    right = {"model_name": "a b", "model_version": "1+", "outputs": [output]}
    canned.routes[("POST", f"{path}/infer")] = reply(right)
    codes = np.zeros((1, 2, 3), np.uint8)
    assert OipEndpoint(f"{canned.root}{path}", DOMAIN).ask(codes).labels.tolist() == [[3]]
