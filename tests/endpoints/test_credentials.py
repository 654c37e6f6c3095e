import pytest

from modelseal.endpoints.declared import find_access
from modelseal.endpoints.endpoint_toml import EndpointSection
from modelseal.errors import BadFileError

MARKER = "mArKeR"


def section(**settings):
    return EndpointSection(kind="http", url="https://host/x", **settings)


def test_credentials_come_from_the_environment_and_from_files(tmp_path):
    (tmp_path / "key.txt").write_text(f"{MARKER}2\n")
    access = find_access(
        section(
            headers={"Host": "h"},
            header_from_env={"Authorization": "TOKEN"},
            header_from_file={"X-Key": "key.txt"},
        ),
        tmp_path / "endpoint.toml",
        environment={"TOKEN": f"Bearer {MARKER}1", "OTHER": "x"},
    )
    assert access.headers == {
        "Host": "h",
        "Authorization": f"Bearer {MARKER}1",
        "X-Key": f"{MARKER}2",
    }
    assert access.secrets == {f"Bearer {MARKER}1", f"{MARKER}1", f"{MARKER}2"}
    assert MARKER not in repr(access)


@pytest.mark.parametrize(
    ("settings", "content", "problem"),
    [
        ({"header_from_env": {"A": MARKER}}, "", "header_from_env.A: the environment has no such"),
        (
            {"header_from_env": {"A": f"Bearer {MARKER}"}},
            "",
            "A: the name of a variable was",
        ),
        ({"header_from_env": {"A": "EMPTY"}}, "", "the environment has no such variable"),
        ({"header_from_env": {"A": "ODD"}}, "", "A: a header's value is printable ASCII"),
        ({"header_from_env": {"A b": "TOKEN"}}, "", "a header's name was wanted, but 'A b'"),
        (
            {"header_from_file": {"A": MARKER}},
            "",
            "A: the file cannot be read: No",
        ),
        ({"header_from_file": {"A": "key"}}, "", "A: a file of 1 to 65536 bytes was wanted"),
        ({"header_from_file": {"A": "key"}}, "x" * 70_000, "A: a file of 1 to 65536 bytes"),
        ({"header_from_file": {"A": "key"}}, f"é{MARKER}", "cannot be read: it is no ASCII"),
        ({"header_from_file": {"A": "key"}}, f"{MARKER}\n{MARKER}", "A: a header's value is"),
        ({"ca_file": "key"}, "nothing", "key: certificates in PEM were wanted"),
        ({"ca_file": "missing"}, "", "missing: certificates in PEM were wanted: No such file"),
    ],
)
def test_what_cannot_be_used_is_said_without_showing_it(tmp_path, settings, content, problem):
    (tmp_path / "key").write_text(content, encoding="utf-8")
    environment = {"TOKEN": MARKER, "EMPTY": " ", "ODD": f"{MARKER}\n{MARKER}"}
    with pytest.raises(BadFileError, match=problem) as caught:
        find_access(section(**settings), tmp_path / "endpoint.toml", environment=environment)
    assert MARKER not in str(caught.value)
