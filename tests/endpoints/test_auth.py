from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refuses

from modelseal.endpoints.auth import (
    HIDDEN,
    NO_CREDENTIALS,
    Credentials,
    check_header,
    read_address,
    read_credentials,
    secrets_of,
)
from modelseal.errors import BadFileError, InvalidArgumentError

ODD = 'mar"ker\\of the {door}'
MARKER = "mArKeR"
VISIBLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=4, max_size=30)


@pytest.mark.parametrize(
    "text",
    [
        *(ODD, f"status 401 came: token {ODD} is unknown"),
        r"\"mar\"ker\\of the {door}\" came".replace('\\"mar', '"mar'),
        *(repr(ODD), "mar%22ker%5Cof%20the%20%7Bdoor%7D", 'x mar"ker\\of the {do…', 'x mar"…'),
    ],
)
def test_a_secret_is_hidden_however_it_is_written_or_cut(text):
    hidden = Credentials(secrets=frozenset({ODD})).hide(text)
    assert HIDDEN in hidden
    assert "ker" not in hidden
    assert 'mar"' not in hidden


@given(secret=VISIBLE, before=st.text(max_size=9), after=st.text(max_size=9))
def test_no_text_keeps_a_secret(secret, before, after):
    shown = Credentials(secrets=frozenset({secret})).hide(f"{before}{secret}{after}")
    assert secret not in shown or secret in HIDDEN * 10


def test_what_a_server_echoes_is_taken_out_of_its_reply():
    credentials = Credentials(secrets=frozenset({"marker", "other"}))
    cleaned = credentials.clean(b'{"label": "marker", "x": "other"}')
    assert cleaned == b'{"label": "***", "x": "***"}'
    assert NO_CREDENTIALS.clean(b"\xff marker") == b"\xff marker"


def test_the_repr_shows_neither_headers_nor_secrets():
    secrets = frozenset({"marker"})
    credentials = Credentials(headers={"Authorization": "Bearer marker"}, secrets=secrets)
    assert repr(credentials) == "Credentials(ca_file=None)"


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
def test_what_must_not_be_shown_of_a_header_is_all_of_it_and_its_parts(value, secrets):
    assert secrets_of(value) == secrets


def test_user_and_password_are_taken_out_of_an_address_and_sent_as_a_header():
    address = read_address("http://me:p%40ss@host:80/x?key=1#y", expected="an address")
    assert (address.url, address.shown) == ("http://host:80/x?key=1#y", "http://host:80/x")
    assert "p%40ss" not in repr(address)
    credentials = address.add_to(Credentials(headers={"X": "y"}))
    basic = f"Basic {b64encode(b'me:p@ss').decode()}"
    assert credentials.headers == {"Authorization": basic, "X": "y"}
    assert {"p@ss", "p%40ss", "me:p@ss"} <= credentials.secrets
    assert "me" not in credentials.secrets
    plain = read_address("http://host/x", expected="an address")
    assert plain.add_to(NO_CREDENTIALS) is NO_CREDENTIALS


def test_the_query_of_an_address_is_not_shown_but_may_stand_in_answers():
    address = read_address("http://host/x?key=p%40ssword&kind=scores&b", expected="an address")
    credentials = address.add_to(NO_CREDENTIALS)
    said = "/x?key=p%40ssword&kind=scores&b is not here, nor p@ssword, p%40ssword or scores"
    assert credentials.hide(said) == "/x?*** is not here, nor ***, *** or ***"
    assert credentials.clean(b'{"scores": [1]}') == b'{"scores": [1]}'
    assert "ssword" not in repr(credentials)


@pytest.mark.parametrize(
    "url", ["http://me:mar/ker@host/x", "http://me:mar?ker@host", "http://[mar:ker", "http://h:0/"]
)
def test_a_malformed_address_is_refused_without_a_word_of_it(url):
    with refuses(InvalidArgumentError, field="url") as caught:
        read_address(url, expected="an address")
    assert "mar" not in str(caught.value).removeprefix("url: expected an address, got a malformed")


@pytest.mark.parametrize("name", ["", "a b", "a:b", "Content-Length", "transfer-encoding", "é"])
def test_a_header_of_another_name_is_refused(name):
    with refuses(InvalidArgumentError):
        Credentials(headers={name: "x"})


@pytest.mark.parametrize("value", ["", " marker", "marker\r\nX: y", "markér", "marker\0"])
def test_a_header_of_another_value_is_refused_without_showing_it(value):
    with pytest.raises(InvalidArgumentError, match="X-Key") as caught:
        check_header("X-Key", value)
    assert "mark" not in str(caught.value)


def read(folder, *, environment, headers=None, from_env=None, from_file=None, ca_file=None):
    return read_credentials(
        folder / "endpoint.toml",
        headers=headers or {},
        from_env=from_env or {},
        from_file=from_file or {},
        ca_file=ca_file,
        environment=environment,
    )


def test_credentials_come_from_the_environment_and_from_files(tmp_path):
    (tmp_path / "key.txt").write_text(f"{MARKER}2\n")
    credentials = read(
        tmp_path,
        headers={"Host": "h"},
        from_env={"Authorization": "TOKEN"},
        from_file={"X-Key": "key.txt"},
        environment={"TOKEN": f"Bearer {MARKER}1", "OTHER": "x"},
    )
    wanted = {"Host": "h", "Authorization": f"Bearer {MARKER}1", "X-Key": f"{MARKER}2"}
    assert credentials.headers == wanted
    assert credentials.secrets == {f"Bearer {MARKER}1", f"{MARKER}1", f"{MARKER}2"}
    assert MARKER not in repr(credentials)


@pytest.mark.parametrize(
    ("settings", "content", "field"),
    [
        ({"from_env": {"A": MARKER}}, "", "endpoint.header_from_env.A"),
        ({"from_env": {"A": f"Bearer {MARKER}"}}, "", "endpoint.header_from_env.A"),
        ({"from_env": {"A": "EMPTY"}}, "", "endpoint.header_from_env.A"),
        ({"from_env": {"A": "ODD"}}, "", "endpoint"),
        ({"from_env": {"A b": "TOKEN"}}, "", "endpoint"),
        ({"from_file": {"A": MARKER}}, "", "endpoint.header_from_file.A"),
        ({"from_file": {"A": "key"}}, "", "endpoint.header_from_file.A"),
        ({"from_file": {"A": "key"}}, "x" * 70_000, "endpoint.header_from_file.A"),
        ({"from_file": {"A": "key"}}, f"é{MARKER}", "endpoint.header_from_file.A"),
        ({"from_file": {"A": "key"}}, f"{MARKER}\n{MARKER}", "endpoint"),
        ({"ca_file": "key"}, "nothing", ""),
        ({"ca_file": "missing"}, "", ""),
    ],
)
def test_what_cannot_be_used_is_said_without_showing_it(tmp_path, settings, content, field):
    (tmp_path / "key").write_text(content, encoding="utf-8")
    environment = {"TOKEN": MARKER, "EMPTY": " ", "ODD": f"{MARKER}\n{MARKER}"}
    with refuses(BadFileError, field=field) as caught:
        read(tmp_path, **settings, environment=environment)
    assert MARKER not in str(caught.value)
