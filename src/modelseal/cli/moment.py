"""The present moment, as documents have it."""

from datetime import UTC, datetime


def now() -> str:
    """The present moment in UTC to the second, such as `2026-11-23T10:00:00Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
