"""How an endpoint is queried, and how answers that vary are judged: what the caller decides."""

from dataclasses import dataclass
from math import inf

from modelseal.errors import InvalidArgumentError

_MOST_RETRIES = 100
"""At the longest mean wait that is three quarters of an hour for one query."""


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryPolicy:
    """How an endpoint is queried.

    Args:
        retries: How often a query is sent again after a fault that may pass; from 0 to 100.
        timeout: How many seconds each answer may take, unless an endpoint.toml says otherwise;
            above 0. It counts where `verify` or `enroll` opens the endpoint.
        pace: The mean pause between queries in seconds, drawn anew each time; from 0.
        time_limit: For how many seconds queries are sent in all, natural images included; above
            0. The query that is under way then is still waited for.
        concurrency: How many queries are under way at once; from 1. With more than one the
            endpoint is asked from several threads.

    Raises:
        InvalidArgumentError: A number is out of its range; `field` names it.

    Examples:
        >>> QueryPolicy(retries=5, concurrency=4).retries
        5
    """

    retries: int = 3
    timeout: float = 30.0
    pace: float = 0.0
    time_limit: float = inf
    concurrency: int = 1

    def __post_init__(self) -> None:
        ranges = {
            "retries": (0 <= self.retries <= _MOST_RETRIES, f"a number from 0 to {_MOST_RETRIES}"),
            "timeout": (0 < self.timeout < inf, "seconds above 0"),
            "pace": (0 <= self.pace < inf, "seconds from 0"),
            "time_limit": (self.time_limit > 0, "seconds above 0"),
            "concurrency": (self.concurrency >= 1, "a number from 1"),
        }
        for field, (fits, expected) in ranges.items():
            if not fits:
                got = getattr(self, field)
                raise InvalidArgumentError(f"expected {expected}, got {got:g}", field=field)


@dataclass(frozen=True, kw_only=True, slots=True)
class SequentialPolicy:
    """How an enrolled fingerprint, whose answers vary, is judged.

    Args:
        alpha: The highest rate of false alarms, above 0 and below 1. Half of it is for an
            enrollment that misleads. By default that of the enrollment.
        queries: The most queries, from 1; by default 50 for each sample.
        look: The number of this check in a schedule of many, from 1: all of them together then
            raise a false alarm with a probability of at most alpha. By default what a ledger
            counts; without one the check stands alone.

    Raises:
        InvalidArgumentError: A number is out of its range; `field` names it.
    """

    alpha: float | None = None
    queries: int | None = None
    look: int | None = None

    def __post_init__(self) -> None:
        if self.alpha is not None and not 0 < self.alpha < 1:
            raise InvalidArgumentError(
                f"expected a number above 0 and below 1, got {self.alpha!r}", field="alpha"
            )
        for field, number in (("queries", self.queries), ("look", self.look)):
            if number is not None and number < 1:
                raise InvalidArgumentError(f"expected a number from 1, got {number}", field=field)
