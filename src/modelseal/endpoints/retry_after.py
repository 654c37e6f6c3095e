"""How long a server asks to wait before the next question."""

from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST = 60.0
"""Nobody is waited for longer than this many seconds, whatever a server says."""


def read_retry_after(text: str, *, now: datetime) -> float | None:
    """The header `Retry-After`: seconds, or a date of HTTP (RFC 9110, section 10.2.3).

    Args:
        text: The header's value.
        now: What time it is, with its zone.

    Returns:
        Seconds from 0 to 60, or nothing if the header says nothing that is known.

    Examples:
        >>> read_retry_after("120", now=datetime.now(UTC))
        60.0
    """
    word = text.strip()
    if word.isascii() and word.isdigit():
        return min(float(word), LONGEST)
    with suppress(ValueError, TypeError, IndexError, OverflowError):
        moment = parsedate_to_datetime(word)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return min(max((moment - now).total_seconds(), 0.0), LONGEST)
    return None
