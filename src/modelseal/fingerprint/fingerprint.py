"""A fingerprint as a value: the samples, what is expected of them, and all that judges answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from math import floor, frexp, isfinite
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from jaxtyping import Int
from pydantic import SkipValidation

from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError, unexpected
from modelseal.fingerprint.checks import (
    WHOLE_NUMBERS,
    check_column,
    check_digest,
    check_each,
    check_expected,
    check_families,
    check_moment,
    check_names,
    check_parameter,
    check_range,
    check_stability,
    check_text,
)
from modelseal.intervals import lower_bound
from modelseal.outputs.answers import Answers
from modelseal.outputs.specs import OutputSpec
from modelseal.types import Array, Codes, PerInput

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey


# Bounds on what a hostile file can ask for: more than anybody uses.
MAX_REPEATS = 1_000_000
_MAX_ASKED = 2**31
_MAX_DRAWS = 10_000


Neighbours: TypeAlias = Int[np.ndarray, "batch neighbours"]
"""The neighbours of each sample: the place from 1 of the value that is one level higher, or with a
minus sign one level lower; 0 stands for none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Enrollment:
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
    """

    endpoint: str
    created: str
    alpha: float
    repeats: int
    asked: int
    differing: tuple[int, ...]
    otherwise: tuple[bool, ...]

    def __post_init__(self) -> None:
        check_text(self.endpoint, field="endpoint")
        check_moment(self.created, field="created")
        if not (isfinite(self.alpha) and 0 < self.alpha < 1):
            raise unexpected("a number above 0 and below 1", self.alpha, field="alpha")
        check_range(self.repeats, range(1, MAX_REPEATS + 1), field="repeats")
        kept = len(self.differing)
        check_range(self.asked, range(max(kept, 1), _MAX_ASKED + 1), field="asked")
        for number, count in enumerate(self.differing):
            check_range(count, range((self.repeats + 1) // 2), field=f"differing[{number}]")
        if len(self.otherwise) != kept:
            raise unexpected(f"{kept} truth values", len(self.otherwise), field="otherwise")

    def take(self, rows: Array) -> "Enrollment":
        """The enrollment of some samples, in this order."""
        return replace(
            self,
            differing=tuple(self.differing[row] for row in rows),
            otherwise=tuple(self.otherwise[row] for row in rows),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """The smallest change of one family that a fingerprint noticed when it was sealed.

    The samples of the whole fingerprint were asked of changed copies of the sealed network; a
    copy is noticed if one answer differs. Where no size was noticed every time, it is the largest
    size that was tried, with how often that one was.

    Args:
        family: The kind of change, such as `Gaussian noise`.
        unit: What its size is counted in, such as `of each layer's spread`; None if the family
            has changes of one size only.
        level: The size, positive; a larger one is a larger change. None as the unit is.
        noticed: How many of the copies were noticed.
        draws: How many copies with changes of this size were made, from 1 to 10,000.
        fixed: Whether chance has no part in the change: then one copy is all that there are.
    """

    family: str
    unit: str | None = None
    level: float | None = None
    noticed: int
    draws: int
    fixed: bool = False

    def __post_init__(self) -> None:
        check_text(self.family, field="family")
        if self.unit is not None:
            check_text(self.unit, field="unit")
        if self.level is not None and not (isfinite(self.level) and self.level > 0):
            raise unexpected("a positive finite number", self.level, field="level")
        if (self.level is None) != (self.unit is None):
            raise unexpected("a level and a unit, or neither", self.level, field="level")
        check_range(self.draws, range(1, 2 if self.fixed else _MAX_DRAWS + 1), field="draws")
        check_range(self.noticed, range(self.draws + 1), field="noticed")

    def __str__(self) -> str:
        size = "" if self.level is None else f" from {format_level(self.level)} {self.unit}"
        return f"{self.family}{size}" + ("" if self.fixed else f" ({self.noticed} of {self.draws})")

    @property
    def at_least(self) -> float:
        """The share of such changes that is noticed, at the least, at 95 % confidence.

        It is the exact lower bound of Clopper and Pearson: the share at which so many or more of
        the draws would be noticed in 5 % of cases. If all n are, that is 0.05^(1/n), which passes
        0.95 from 59 draws on. Of a change in which chance has no part it is 1 or 0. It is rounded
        down to six digits, which are the same on every machine.
        """
        if self.fixed or not self.noticed:
            return float(self.noticed)
        return floor(lower_bound(self.noticed, self.draws) * 10**6) / 10**6


def format_level(level: float) -> str:
    """A size as short text; powers of two as such.

    Examples:
        >>> format_level(2.0**-14), format_level(1.0), format_level(0.3)
        ('2^-14', '1', '0.3')
    """
    fraction, exponent = frexp(level)
    power = exponent - 1
    return f"2^{power}" if fraction == 0.5 and power else f"{level:g}"


def format_power(limits: Sequence[Limit]) -> str:
    """What was noticed every time, in part and never, in one line; empty if nothing was tried."""
    every = [limit for limit in limits if limit.noticed == limit.draws]
    never = [limit for limit in limits if not limit.noticed]
    part = [limit for limit in limits if 0 < limit.noticed < limit.draws]
    groups = {"": every, "in part: ": part, "not: ": never}
    parts = (head + ", ".join(map(str, group)) for head, group in groups.items() if group)
    return "; ".join(parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """How the samples of a fingerprint were made.

    Args:
        method: The name of the way that made them.
        parameters: Its settings: texts, whole numbers of 64 bits and finite numbers.
        seed: The seed of its random numbers.
        weights_digest: Digest of the sealed weights, as `codec.weights_digest` gives it.
        packages: The version of every package that had a part in it.
        created: When, in UTC to the second: `2026-11-23T10:00:00Z`.
        variants: The harmless variants that the samples were calibrated in.
        harmless_answers: How many answers of these were compared, none of which differed.
    """

    method: str
    parameters: Mapping[str, SkipValidation[str | int | float]]
    seed: int
    weights_digest: str
    packages: Mapping[str, str]
    created: str
    variants: tuple[str, ...]
    harmless_answers: int

    def __post_init__(self) -> None:
        check_text(self.method, field="method")
        for key, value in self.parameters.items():
            check_text(key, field=f"parameters.{key!r}")
            check_parameter(value, field=f"parameters.{key}")
        check_range(self.seed, WHOLE_NUMBERS, field="seed")
        check_digest(self.weights_digest, field="weights_digest")
        for key, text in self.packages.items():
            check_text(key, field=f"packages.{key!r}")
            check_text(text, field=f"packages.{key}")
        check_moment(self.created, field="created")
        for number, variant in enumerate(self.variants):
            check_text(variant, field=f"variants[{number}]")
        check_range(self.harmless_answers, range(2**63), field="harmless_answers")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Fingerprint:
    """Sensitive samples, their expected outputs, and all that is needed to judge an answer.

    A file of candidates is the same thing with many samples.

    Args:
        domain: What a valid input is.
        spec: What the endpoint shows of its scores.
        classes: How many scores the network has.
        names: The name of every class; empty if they have none.
        samples: The samples as they are stored, at least one.
        expected: What the sealed network shows of each sample, in the form of `spec.reveal`.
        margins: By how much each expected answer misses becoming another one, in the unit of
            `spec.margin`; positive and finite.
        moves: How far harmless variants brought each sample towards another answer, in the same
            unit; finite and from 0.
        factor: Every margin is at least this many times its move; from 1.
        psnr: Peak signal-to-noise ratio of each sample against the natural input that it was made
            from, in dB; infinite for a natural input itself.
        sources: The number of the natural input that each sample was made from, from 0.
        origin: How the samples were made.
        power: The smallest change of each family that these samples together noticed at sealing;
            empty if that was not measured.
        neighbours: Inputs beside each sample that it may be asked by; None if none was looked for.
        enrollment: How a trusted deployment answered; then `expected` is what it answered most
            often. None if none was asked.
        file: The file that it was read from, as the caller gave it; not part of the file.
        signer: What the signer is called whose signature was required; not part of the file.

    Raises:
        InvalidArgumentError: A field is not what it should be; the error names it.
    """

    domain: Domain
    spec: OutputSpec
    classes: int
    names: tuple[str, ...] = ()
    samples: Codes
    expected: Answers
    margins: PerInput
    moves: PerInput
    factor: float
    psnr: PerInput
    sources: Int[np.ndarray, " batch"]
    origin: Origin
    power: tuple[Limit, ...] = ()
    neighbours: Neighbours | None = None
    enrollment: Enrollment | None = None
    file: str = ""
    signer: str | None = None

    def __post_init__(self) -> None:
        try:
            self.domain.check(self.samples)
        except InvalidArgumentError as error:
            raise InvalidArgumentError(error.problem, field="samples") from error
        count = len(self.samples)
        if not count:
            raise unexpected("at least one sample", 0, field="samples")
        check_expected(self.expected, self.spec, count=count, classes=self.classes)
        check_names(self.names, self.classes)
        for name in ("margins", "moves", "psnr"):
            check_column(getattr(self, name), count, kind="f", field=name)
        check_column(self.sources, count, kind="iu", field="sources")
        check_stability(self.margins, self.moves, self.factor)
        known = ~np.isnan(self.psnr) & (self.psnr > -np.inf)
        check_each(known, self.psnr, wanted="a ratio in dB", field="psnr")
        allowed = (self.sources >= 0) & (self.sources < 2**63)
        check_each(allowed, self.sources, wanted="a 64-bit number from 0", field="sources")
        check_families([limit.family for limit in self.power])
        if self.neighbours is not None:
            check_neighbours(self.neighbours, self.samples, self.domain)
        if self.enrollment is not None and len(self.enrollment.differing) != count:
            came = len(self.enrollment.differing)
            raise unexpected(f"{count} numbers", came, field="enrolment.differing")

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def digest(self) -> str:
        """The SHA-256 of the plain file that it is written as: `sha256:` and 64 digits."""
        from modelseal.fingerprint.file_format import encode

        return f"sha256:{sha256(encode(self)).hexdigest()}"

    def save(
        self,
        path: Path | str,
        *,
        encrypt_to: "Path | str | X25519PublicKey | None" = None,
        passphrase: str | bytes | Path | None = None,
    ) -> None:
        """Writes the file, whole or not at all; a new one is for its owner alone.

        Args:
            path: The file, new or to be replaced.
            encrypt_to: A public X25519 key, or its PEM file, to encrypt the file to: then no plain
                copy touches the disk.
            passphrase: A passphrase to encrypt the file by, or a Path of a file that holds it.

        Raises:
            BadFileError: The file cannot be written, or the key or the passphrase not be read.
            InvalidArgumentError: The fingerprint is larger than the format allows.
            MissingExtraError: It shall be encrypted, and the extra `crypto` is not installed.
        """
        from modelseal.fingerprint.file_format import save

        save(self, path, encrypt_to=encrypt_to, passphrase=passphrase)

    @property
    def false_alarm_bound(self) -> float:
        """The rule-of-three bound 3 / n on the share of harmless answers that differ.

        None of n answers differed in calibration; if they were independent draws, the share would
        be below 3 / n at 95 % confidence, since (1 - 3/n)^n is about e^-3, which is 5 %. They are
        not: the samples were kept because none of their answers differed, and the variants are
        those of one machine. So the number speaks of re-hostings like those tried and promises
        nothing of others. At most 1, and 1 if nothing was measured.
        """
        return min(1.0, 3 / self.origin.harmless_answers) if self.origin.harmless_answers else 1.0

    def faces(self, number: int) -> Codes:
        """One sample and its neighbours, by any of which it may be asked."""
        sample = self.samples[[number]]
        return sample if self.neighbours is None else list_faces(sample, self.neighbours[number])

    def take(self, rows: Array) -> "Fingerprint":
        """The fingerprint of some samples, by number and in this order.

        It has no power, which was measured for all of them together, and is neither the file that
        was read nor what was signed.
        """
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            came = f"{rows.dtype} of shape {rows.shape}"
            raise unexpected("a row of sample numbers", came, field="rows")
        there = (rows >= 0) & (rows < len(self))
        check_each(there, rows, wanted=f"0 to {len(self) - 1}", field="rows")
        return replace(
            self,
            samples=self.samples[rows],
            expected=self.expected.take(rows),
            margins=self.margins[rows],
            moves=self.moves[rows],
            psnr=self.psnr[rows],
            sources=self.sources[rows],
            power=(),
            neighbours=None if self.neighbours is None else self.neighbours[rows],
            enrollment=None if self.enrollment is None else self.enrollment.take(rows),
            file="",
            signer=None,
        )


def list_faces(sample: Array, neighbours: Array) -> Array:
    """A sample, as a batch of one, and its neighbours, as they are stored.

    Examples:
        >>> list_faces(np.array([[7, 7]], np.uint8), np.array([1, -2, 0])).tolist()
        [[7, 7], [8, 7], [7, 6]]
    """
    moves = neighbours[neighbours != 0]
    faces = np.repeat(sample, len(moves) + 1, axis=0)
    flat = faces.reshape(len(faces), -1)
    rows = np.arange(1, len(faces))
    # Codes are unsigned: adding 255 goes one level down.
    flat[rows, np.abs(moves) - 1] += np.where(moves > 0, 1, 255).astype(np.uint8)
    return faces


def check_neighbours(neighbours: Array, samples: Codes, domain: Domain) -> None:
    """Makes sure that every neighbour is a valid input of its own, and comes once."""
    field = "neighbours"
    if not domain.levels:
        raise unexpected("a domain with levels", "a continuous one", field=field)
    integers = neighbours.ndim == 2 and neighbours.dtype.kind == "i" and neighbours.shape[1]
    if not integers or len(neighbours) != len(samples):
        wanted = f"a row of whole numbers for each of {len(samples)} samples"
        raise unexpected(wanted, f"{neighbours.dtype} of shape {neighbours.shape}", field=field)
    flat = samples.reshape(len(samples), -1)
    size = flat.shape[1]
    there = (neighbours >= -size) & (neighbours <= size)
    check_each(there, neighbours, wanted=f"0 or a place from 1 to {size} with a sign", field=field)
    places = np.maximum(np.abs(neighbours) - 1, 0)
    levels = np.take_along_axis(flat, places, axis=1).astype(np.int64) + np.sign(neighbours)
    valid = (levels >= 0) & (levels < domain.levels)
    check_each(valid, neighbours, wanted="a step to a level that is there", field=field)
    ordered = np.sort(neighbours, axis=1)
    twice = (np.diff(ordered, axis=1) == 0) & (ordered[:, 1:] != 0)
    check_each(~twice, ordered[:, 1:], wanted="each neighbour once", field=field)
