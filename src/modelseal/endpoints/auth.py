"""What lets a request in, and what of it must never be told."""

import json
import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

from modelseal.errors import EndpointError, InvalidArgumentError

HIDDEN = "***"
"""What stands in the place of a secret."""

SHORTEST = 4
"""So many characters has a secret that is looked for: shorter ones are parts of every text."""

WORD = re.compile(r"[^\s,;=\":]{8,}")
"""A part of a header that may be a secret by itself, as in `session=…; theme=…` or `key me:…`;
shorter parts are names and words that answers hold too."""

NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""The name of a header, as HTTP has it."""

FRAMING = {"connection", "content-encoding", "content-length", "transfer-encoding", "te", "upgrade"}
"""Headers that say where a message ends: they belong to who writes it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """What is sent with every request beside the input, and whom to trust.

    Its `repr` shows nothing of it.

    Args:
        headers: Headers by name, with credentials among them.
        secrets: What must never be told: not in an error, a verdict or a log. It is taken out of
            answers, too.
        untold: What must not be told either, but may stand in answers by right.
        ca_file: A file of the certificates of those to trust, in place of the system's.

    Raises:
        InvalidArgumentError: A header is malformed, or one that says where a message ends; the
            text has its name alone.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    untold: frozenset[str] = field(default=frozenset(), repr=False)
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        for name, value in self.headers.items():
            check_header(name, value)

    def hide(self, text: str) -> str:
        """The text without the secrets, in whatever way they are written or cut there.

        Examples:
            >>> Access(secrets=frozenset({"marker"})).hide("status 401 came: marker, mark…")
            'status 401 came: ***, ***…'
        """
        for form in forms(self.secrets | self.untold):
            text = text.replace(form, HIDDEN)
            for length in range(len(form) - 1, SHORTEST - 1, -1):
                text = text.replace(f"{form[:length]}…", f"{HIDDEN}…")
        return text

    def clean(self, body: bytes) -> bytes:
        """A reply without the secrets that it echoes: whatever is read in it may be told.

        No answer holds a secret by right, so that a changed one is no answer: it ends as
        undecided at worst.
        """
        return reduce(lambda left, form: left.replace(form, HIDDEN.encode()), self.bytes(), body)

    def bytes(self) -> Iterator[bytes]:
        """The ways in which a secret may be written in a reply, the longest first."""
        return (form.encode() for form in forms(self.secrets))

    def hidden(self, error: EndpointError) -> EndpointError:
        """The same fault without the secrets."""
        return error.retold(self.hide(str(error)))


def forms(secrets: frozenset[str]) -> list[str]:
    """The ways in which secrets may be written in a text, the longest first."""
    ways = (
        way
        for secret in secrets
        for way in (
            secret,
            quote(secret, safe=""),
            json.dumps(secret)[1:-1],
            repr(secret)[1:-1],
        )
    )
    return sorted({way for way in ways if len(way) >= SHORTEST}, key=len, reverse=True)


NO_ACCESS = Access()
"""For a server that everybody may ask."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """An address without user and password.

    Args:
        url: The address.
        shown: The same without its query, which may hold a key.
        user: What is said of the user, as `user:password`; empty if nothing is.
    """

    url: str
    shown: str
    user: str = field(default="", repr=False)

    def admit(self, access: Access) -> Access:
        """The access with this user, who is sent as a header: programs log addresses.

        The query may hold a key, which servers repeat where they complain.
        """
        if query := urlsplit(self.url).query:
            values = {value for _, value in parse_qsl(query)}
            written = {part.partition("=")[2] for part in query.split("&")}
            access = replace(access, untold=access.untold | {query} | values | written)
        if not self.user:
            return access
        plain = ":".join(unquote(part) for part in self.user.partition(":")[::2])
        value = f"Basic {b64encode(plain.encode()).decode()}"
        return replace(
            access,
            headers={"Authorization": value, **access.headers},
            secrets=access.secrets | secrets_of(value) | {secret_part(self.user)},
        )


def read_address(url: str, *, wanted: str) -> Address:
    """Takes the user and the password out of an address.

    Args:
        url: The address, as the user gave it.
        wanted: What an address is here, as the beginning of a sentence.

    Raises:
        InvalidArgumentError: Its host or port is malformed. The text says nothing of them: a
            password with a slash would be taken for a port.
    """
    try:
        parts = urlsplit(url)
        if parts.port == 0:
            raise ValueError("port 0")
    except ValueError as error:
        raise InvalidArgumentError(f"{wanted}, but the host or port is malformed") from error
    user, _, host = parts.netloc.rpartition("@")
    clean = parts._replace(netloc=host)
    shown = clean._replace(query="", fragment="")
    return Address(url=urlunsplit(clean), shown=urlunsplit(shown), user=user)


def check_header(name: str, value: str) -> None:
    """Makes sure that a header can be sent.

    Raises:
        InvalidArgumentError: It cannot; the text never shows its value.
    """
    if not NAME.fullmatch(name) or name.lower() in FRAMING:
        raise InvalidArgumentError(f"a header's name was wanted, but {name!r} is none to be set")
    if not value.isascii() or not value.isprintable() or value != value.strip() or not value:
        raise InvalidArgumentError(
            f"{name}: a header's value is printable ASCII without spaces around it, but this "
            "one is not"
        )


def secrets_of(value: str) -> frozenset[str]:
    """What must not be told of a header that holds a credential: all of it, and its parts.

    Examples:
        >>> sorted(secrets_of("Bearer abcd"))
        ['Bearer abcd', 'abcd']
    """
    first, *others = value.split(" ")
    scheme = others and NAME.fullmatch(first)
    found = {value, *others, *WORD.findall(" ".join(others) if scheme else value)}
    if first.lower() == "basic" and others:
        found |= decoded(others[0])
    return frozenset(found)


def decoded(text: str) -> set[str]:
    """What is secret of the user and the password that a header of the scheme Basic holds."""
    try:
        plain = b64decode(text, validate=True).decode()
    except (Base64Error, UnicodeDecodeError):
        return set()
    return {plain, secret_part(plain)}


def secret_part(user: str) -> str:
    """The password of `user:password`, or the user if there is none, who is a key then.

    The name beside a password is often a word that answers hold too.
    """
    name, _, password = user.partition(":")
    return password or name
