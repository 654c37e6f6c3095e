"""What is sent to be let in, and what of it must never be shown."""

import json
import re
import ssl
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

from modelseal.errors import BadFileError, EndpointError, InvalidArgumentError

HIDDEN = "***"  # what is shown in place of a secret

# Shorter secrets are not looked for: they are parts of every text.
_SHORTEST = 4

# A part of a header that may be a secret by itself, as in `session=…; theme=…` or `key me:…`;
# shorter parts are names and words that answers hold too.
_WORD = re.compile(r"[^\s,;=\":]{8,}")

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

# Headers that say where a message ends belong to who writes it.
_FRAMING = {
    "connection", "content-encoding", "content-length", "transfer-encoding", "te", "upgrade",
}  # fmt: skip

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LARGEST_FILE = 2**16


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """What is sent with every request beside the input, and whom to trust.

    Its `repr` shows nothing of it.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    private: frozenset[str] = field(default=frozenset(), repr=False)
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        for name, value in self.headers.items():
            check_header(name, value)

    def hide(self, text: str) -> str:
        """The text without the secrets, in whatever way they are written or cut there.

        Examples:
            >>> Credentials(secrets=frozenset({"marker"})).hide("status 401: marker, mark…")
            'status 401: ***, ***…'
        """
        for form in _written_forms(self.secrets | self.private):
            text = text.replace(form, HIDDEN)
            for length in range(len(form) - 1, _SHORTEST - 1, -1):
                text = text.replace(f"{form[:length]}…", f"{HIDDEN}…")
        return text

    def hide_in(self, error: EndpointError) -> EndpointError:
        """The same error without the secrets."""
        return error.retold(self.hide(str(error)))

    def clean(self, body: bytes) -> bytes:
        """A reply without the secrets that it echoes, since what is read in it may be shown.

        No answer holds a secret by right: a changed one is no answer, and undecided at worst.
        """
        for form in _written_forms(self.secrets):
            body = body.replace(form.encode(), HIDDEN.encode())
        return body


NO_CREDENTIALS = Credentials()  # for a server that everybody may ask


def _written_forms(secrets: frozenset[str]) -> list[str]:
    """The ways in which secrets may be written in a text, the longest first."""
    ways = {
        way
        for secret in secrets
        for way in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1])
    }
    return sorted((way for way in ways if len(way) >= _SHORTEST), key=len, reverse=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """An address without user and password."""

    url: str
    shown: str
    user: str = field(default="", repr=False)

    def add_to(self, credentials: Credentials) -> Credentials:
        """The credentials with this user, sent as a header since programs log addresses.

        The query may hold a key, which servers repeat where they complain.
        """
        if query := urlsplit(self.url).query:
            values = {value for _, value in parse_qsl(query)}
            written = {part.partition("=")[2] for part in query.split("&")}
            private = credentials.private | {query} | values | written
            credentials = replace(credentials, private=private)
        if not self.user:
            return credentials
        plain = ":".join(unquote(part) for part in self.user.partition(":")[::2])
        value = f"Basic {b64encode(plain.encode()).decode()}"
        return replace(
            credentials,
            headers={"Authorization": value, **credentials.headers},
            secrets=credentials.secrets | secrets_of(value) | {_secret_part(self.user)},
        )


def read_address(url: str, *, expected: str) -> Address:
    """Takes the user and the password out of an address."""
    try:
        parts = urlsplit(url)
        if parts.port == 0:
            raise ValueError("port 0")
    except ValueError as error:
        problem = f"expected {expected}, got a malformed host or port"
        raise InvalidArgumentError(problem, field="url") from error
    user, _, host = parts.netloc.rpartition("@")
    clean = parts._replace(netloc=host)
    shown = clean._replace(query="", fragment="")
    return Address(url=urlunsplit(clean), shown=urlunsplit(shown), user=user)


def check_header(name: str, value: str) -> None:
    """Makes sure that a header can be sent."""
    if not _HEADER_NAME.fullmatch(name) or name.lower() in _FRAMING:
        raise InvalidArgumentError(f"expected a header that may be set, got {name!r}")
    if not value.isascii() or not value.isprintable() or value != value.strip() or not value:
        raise InvalidArgumentError(
            f"{name}: expected printable ASCII without spaces around it, got something else"
        )


def secrets_of(value: str) -> frozenset[str]:
    """What must not be shown of a header that holds a credential: all of it, and its parts.

    Examples:
        >>> sorted(secrets_of("Bearer abcd"))
        ['Bearer abcd', 'abcd']
    """
    first, *others = value.split(" ")
    scheme = others and _HEADER_NAME.fullmatch(first)
    found = {value, *others, *_WORD.findall(" ".join(others) if scheme else value)}
    if first.lower() == "basic" and others:
        found |= _basic_secrets(others[0])
    return frozenset(found)


def _basic_secrets(text: str) -> set[str]:
    try:
        plain = b64decode(text, validate=True).decode()
    except (Base64Error, UnicodeDecodeError):
        return set()
    return {plain, _secret_part(plain)}


def _secret_part(user: str) -> str:
    """The password of `user:password`, or the user if there is none, who is a key then.

    The name beside a password is often a word that answers hold too.
    """
    name, _, password = user.partition(":")
    return password or name


def read_credentials(
    path: Path,
    *,
    headers: Mapping[str, str],
    from_env: Mapping[str, str],
    from_file: Mapping[str, str],
    ca_file: str | None,
    environment: Mapping[str, str],
) -> Credentials:
    """Collects the headers that an endpoint.toml names, from the environment and from files.

    No error shows what was found, or the name of what was not: somebody may have written the
    credential itself in its place.
    """
    found = {name: _from_environment(path, name, from_env[name], environment) for name in from_env}
    found |= {name: _from_file(path, name, path.parent / from_file[name]) for name in from_file}
    try:
        return Credentials(
            headers={**headers, **found},
            secrets=frozenset().union(*map(secrets_of, found.values())),
            ca_file=_check_certificates(path.parent / ca_file) if ca_file else None,
        )
    except InvalidArgumentError as error:
        raise BadFileError(path, str(error), field="endpoint") from error


def _from_environment(path: Path, name: str, variable: str, environment: Mapping[str, str]) -> str:
    value = environment.get(variable, "").strip() if _VARIABLE.fullmatch(variable) else ""
    if not value:
        field = f"endpoint.header_from_env.{name}"
        raise BadFileError(path, "expected the name of a variable that is set", field=field)
    return value


def _from_file(path: Path, name: str, file: Path) -> str:
    field = f"endpoint.header_from_file.{name}"
    try:
        with file.open("rb") as opened:
            content = opened.read(_LARGEST_FILE + 1)
        value = content.decode("ascii").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not ASCII"
        # The chain would show the name, or the bytes.
        raise BadFileError(path, f"the file cannot be read: {reason}", field=field) from None
    if not value or len(content) > _LARGEST_FILE:
        raise BadFileError(path, f"expected a file of 1 to {_LARGEST_FILE} bytes", field=field)
    return value


def _check_certificates(file: Path) -> Path:
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:
        problem = f"expected certificates in PEM, got: {error.strerror or error}"
        raise BadFileError(file, problem) from error
    return file
