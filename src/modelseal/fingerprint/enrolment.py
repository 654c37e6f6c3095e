"""What a trusted deployment answered when it was asked again and again."""

from dataclasses import dataclass
from math import isfinite

from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.checking import check_moment, check_range, check_text
from modelseal.shapes import Array

MAX_REPEATS = 1_000_000
"""More questions than anybody asks of one sample; a bound on what a hostile file
can ask for."""

MAX_ASKED = 2**31
"""More samples than a file can hold."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Enrolment:
    """How a trusted deployment answered the samples of a fingerprint, each many times.

    The expected answers of the fingerprint are then those that came most often there.

    Args:
        endpoint: What the deployment is called, without secrets.
        created: When it was asked, in UTC to the second: `2026-11-23T10:00:00Z`.
        alpha: The rate of false alarms that the samples were kept for, above 0 and below 1.
        repeats: How often each sample was asked, from 1.
        asked: How many samples were asked, of which these were kept: at least as many.
        differing: How many answers of each sample were others than its expected one: fewer than
            half.
        otherwise: Whether the expected answer of each sample is another one than that of the
            sealed network.

    Raises:
        InvalidArgumentError: A field is not what it should be; the error names it.
    """

    endpoint: str
    created: str
    alpha: float
    repeats: int
    asked: int
    differing: tuple[int, ...]
    otherwise: tuple[bool, ...]

    def __post_init__(self) -> None:
        check_text(self.endpoint, field="enrolment.endpoint")
        check_moment(self.created, field="enrolment.created")
        check_share(self.alpha, field="enrolment.alpha")
        check_range(self.repeats, range(1, MAX_REPEATS + 1), field="enrolment.repeats")
        kept = len(self.differing)
        check_range(self.asked, range(max(kept, 1), MAX_ASKED + 1), field="enrolment.asked")
        for number, count in enumerate(self.differing):
            fewer = range((self.repeats + 1) // 2)
            check_range(count, fewer, field=f"enrolment.differing[{number}]")
        if len(self.otherwise) != kept:
            raise InvalidArgumentError(
                f"{kept} truth values were wanted, but {len(self.otherwise)} came",
                field="enrolment.otherwise",
            )

    def take(self, rows: Array) -> "Enrolment":
        """The enrolment of some samples, in this order."""
        return Enrolment(
            endpoint=self.endpoint,
            created=self.created,
            alpha=self.alpha,
            repeats=self.repeats,
            asked=self.asked,
            differing=tuple(self.differing[row] for row in rows),
            otherwise=tuple(self.otherwise[row] for row in rows),
        )


def check_share(value: float, *, field: str) -> None:
    """Makes sure that a number lies between 0 and 1."""
    if not (isfinite(value) and 0 < value < 1):
        raise InvalidArgumentError(
            f"a number above 0 and below 1 was wanted, but {value!r} came", field=field
        )
