from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelseal.endpoints.auth import (
    HIDDEN,
    NO_ACCESS,
    Access,
    check_header,
    read_address,
    secrets_of,
)
from modelseal.errors import EndpointError, InvalidArgumentError, PassingError

MARKER = 'mar"ker\\of the {door}'
VISIBLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=4, max_size=30)


@pytest.mark.parametrize(
    "text",
    [
        MARKER,
        f"status 401 came: token {MARKER} is unknown",
        r"\"mar\"ker\\of the {door}\" came".replace('\\"mar', '"mar'),
        repr(MARKER),
        "mar%22ker%5Cof%20the%20%7Bdoor%7D",
        'x mar"ker\\of the {do…',
        'x mar"…',
    ],
)
def test_a_secret_is_hidden_however_it_is_written_or_cut(text):
    hidden = Access(secrets=frozenset({MARKER})).hide(text)
    assert HIDDEN in hidden
    assert "ker" not in hidden
    assert 'mar"' not in hidden


@given(secret=VISIBLE, before=st.text(max_size=9), after=st.text(max_size=9))
def test_no_text_keeps_a_secret(secret, before, after):
    told = Access(secrets=frozenset({secret})).hide(f"{before}{secret}{after}")
    assert secret not in told or secret in HIDDEN * 10


def test_what_a_server_echoes_is_taken_out_of_its_reply():
    access = Access(secrets=frozenset({"marker", "other"}))
    assert access.clean(b'{"label": "marker", "x": "other"}') == b'{"label": "***", "x": "***"}'
    assert NO_ACCESS.clean(b"\xff marker") == b"\xff marker"


def test_short_secrets_are_not_looked_for_in_texts():
    assert Access(secrets=frozenset({"me", ""})).hide("some message") == "some message"


def test_the_repr_shows_neither_headers_nor_secrets():
    access = Access(headers={"Authorization": "Bearer marker"}, secrets=frozenset({"marker"}))
    assert repr(access) == "Access(ca_file=None)"


@pytest.mark.parametrize(
    ("value", "secrets"),
    [
        ("marker", {"marker"}),
        ("Bearer marker", {"Bearer marker", "marker"}),
        ("Basic eDp5eg==", {"Basic eDp5eg==", "eDp5eg==", "x:yz", "yz"}),
        ("basic a2V5Og==", {"basic a2V5Og==", "a2V5Og==", "key:", "key"}),
        ("Basic !!", {"Basic !!", "!!"}),
        (
            "session=abcdefgh; theme=dark",
            {"session=abcdefgh; theme=dark", "theme=dark", "abcdefgh"},
        ),
        ('Token token="abcdefgh"', {'Token token="abcdefgh"', 'token="abcdefgh"', "abcdefgh"}),
        ("ApiKey me:abcdefgh", {"ApiKey me:abcdefgh", "me:abcdefgh", "abcdefgh"}),
        ("Signature abcdefgh,x", {"Signature abcdefgh,x", "abcdefgh,x", "abcdefgh"}),
    ],
)
def test_what_must_not_be_told_of_a_header_is_all_of_it_and_its_parts(value, secrets):
    assert secrets_of(value) == secrets


def test_user_and_password_are_taken_out_of_an_address_and_sent_as_a_header():
    address = read_address("http://me:p%40ss@host:80/x?key=1#y", wanted="an address")
    assert (address.url, address.shown) == ("http://host:80/x?key=1#y", "http://host:80/x")
    assert "p%40ss" not in repr(address)
    access = address.admit(Access(headers={"X": "y"}))
    assert access.headers == {
        "Authorization": f"Basic {b64encode(b'me:p@ss').decode()}",
        "X": "y",
    }
    assert {"p@ss", "p%40ss", "me:p@ss"} <= access.secrets
    assert "me" not in access.secrets


def test_the_query_of_an_address_is_not_told_but_may_stand_in_answers():
    address = read_address("http://host/x?key=p%40ssword&kind=scores&b", wanted="an address")
    access = address.admit(NO_ACCESS)
    told = "/x?key=p%40ssword&kind=scores&b is not here, nor p@ssword, p%40ssword or scores"
    assert access.hide(told) == "/x?*** is not here, nor ***, *** or ***"
    assert access.clean(b'{"scores": [1]}') == b'{"scores": [1]}'
    assert "ssword" not in repr(access)


def test_an_address_without_a_user_changes_nothing():
    assert read_address("http://host/x", wanted="an address").admit(NO_ACCESS) is NO_ACCESS


@pytest.mark.parametrize(
    "url", ["http://me:mar/ker@host/x", "http://me:mar?ker@host", "http://[mar:ker", "http://h:0/"]
)
def test_a_malformed_address_is_refused_without_a_word_of_it(url):
    with pytest.raises(InvalidArgumentError, match="an address, but the host or port") as caught:
        read_address(url, wanted="an address")
    assert "mar" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "Content-Length", "transfer-encoding", "é"])
def test_a_header_of_another_name_is_refused(name):
    with pytest.raises(InvalidArgumentError, match="a header's name was wanted, but"):
        Access(headers={name: "x"})


@pytest.mark.parametrize("value", ["", " marker", "marker\r\nX: y", "markér", "marker\0"])
def test_a_header_of_another_value_is_refused_without_showing_it(value):
    with pytest.raises(InvalidArgumentError, match="X-Key: a header's value is") as caught:
        check_header("X-Key", value)
    assert "mark" not in str(caught.value)


@pytest.mark.parametrize(
    "fault", [EndpointError("of marker"), PassingError("of marker", wait=3.0)], ids=repr
)
def test_a_fault_keeps_its_kind_where_its_secret_is_hidden(fault):
    hidden = Access(secrets=frozenset({"marker"})).hidden(fault)
    assert (type(hidden), str(hidden)) == (type(fault), "of ***")
    assert getattr(hidden, "wait", None) == getattr(fault, "wait", None)
