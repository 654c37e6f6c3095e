"""What goes wrong in Sigstore's client, as one sentence.

Needs the extra `sigstore`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from modelseal.errors import BadFileError, MissingExtraError

try:
    from urllib3.exceptions import MaxRetryError
except ModuleNotFoundError as error:
    raise MissingExtraError("A signature by an identity", "sigstore") from error

LONGEST = 300
"""How many characters of a problem that the library tells are shown."""


@contextmanager
def told(name: str, wanted: str, *, reason: str = "", secret: str = "") -> Iterator[None]:
    """Tells whatever the library raises in one sentence: its errors have no common base.

    Args:
        name: The file that it is about.
        wanted: What was wanted.
        reason: What is said in place of the library's own words.
        secret: What the sentence must not hold.

    Raises:
        BadFileError: Something was raised.
    """
    try:
        yield
    except Exception as error:  # whatever is raised, a signature is not taken
        said = reason or why(error)
        shown = said.replace(secret, "***") if secret else said
        raise BadFileError(name, f"{wanted}, but {shorten(shown)}") from error


def why(error: BaseException) -> str:
    """What an error says, on one line; an error without a word passes on its cause."""
    if host := unreachable_host(error):
        return f"{host} cannot be reached"
    text = " ".join(str(error).split())
    if not text and error.__cause__ is not None:
        return why(error.__cause__)
    return text or type(error).__name__


def unreachable_host(error: BaseException | None) -> str:
    """The host that could not be reached, if that is the reason; else empty."""
    while error is not None:
        for each in (error, *error.args):
            if isinstance(each, MaxRetryError) and each.pool:
                return each.pool.host
        error = error.__cause__ or error.__context__
    return ""


def shorten(text: str) -> str:
    """The beginning of a text that is too long to be shown."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
