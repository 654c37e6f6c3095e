"""The fingerprint as a value: samples, what they must answer, and how that came about."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.checking import (
    WHOLE_NUMBERS,
    check_column,
    check_digest,
    check_each,
    check_expected,
    check_families,
    check_moment,
    check_names,
    check_parameters,
    check_range,
    check_stability,
    check_text,
    check_texts,
)
from modelseal.fingerprint.enrolment import Enrolment
from modelseal.fingerprint.neighbours import Neighbours, check_neighbours, list_faces
from modelseal.fingerprint.power import Limit
from modelseal.outputs.answers import Answers
from modelseal.outputs.specs import OutputSpec
from modelseal.shapes import Array, Codes, PerInput


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """How the samples of a fingerprint were made.

    Args:
        method: The name of the way that made them.
        parameters: Its settings.
        seed: The seed of its random numbers.
        weights_digest: Digest of the sealed weights, as `digest.weights_digest` gives it.
        packages: The version of every package that had a part in it.
        created: When, in UTC to the second: `2026-11-23T10:00:00Z`.
        variants: The harmless variants that the samples were calibrated in.
        harmless_answers: How many answers of these were compared, none of which differed.

    Raises:
        InvalidArgumentError: A field is not what it should be; the error names it.
    """

    method: str
    parameters: Mapping[str, str | int | float]
    seed: int
    weights_digest: str
    packages: Mapping[str, str]
    created: str
    variants: tuple[str, ...]
    harmless_answers: int

    def __post_init__(self) -> None:
        check_text(self.method, field="origin.method")
        check_parameters(self.parameters, field="origin.parameters")
        check_range(self.seed, WHOLE_NUMBERS, field="origin.seed")
        check_digest(self.weights_digest, field="origin.weights_digest")
        check_texts(self.packages, field="origin.packages")
        check_moment(self.created, field="origin.created")
        for number, variant in enumerate(self.variants):
            check_text(variant, field=f"origin.variants[{number}]")
        check_range(self.harmless_answers, range(2**63), field="origin.harmless_answers")


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
        neighbours: Inputs beside each sample that it may be asked by, see
            `modelseal.fingerprint.neighbours`; None if none was looked for.
        enrolment: How a trusted deployment answered; then `expected` is what it answered most
            often. None if none was asked.

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
    enrolment: Enrolment | None = None

    def __post_init__(self) -> None:
        try:
            self.domain.check(self.samples)
        except InvalidArgumentError as error:
            raise InvalidArgumentError(error.problem, field="samples") from error
        count = len(self.samples)
        if not count:
            raise InvalidArgumentError("at least one sample was wanted", field="samples")
        check_expected(self.expected, self.spec, count=count, classes=self.classes)
        check_names(self.names, self.classes)
        check_column(self.margins, count, kind="f", field="margins")
        check_column(self.moves, count, kind="f", field="moves")
        check_stability(self.margins, self.moves, self.factor)
        check_column(self.psnr, count, kind="f", field="psnr")
        known = ~np.isnan(self.psnr) & (self.psnr > -np.inf)
        check_each(known, self.psnr, wanted="a ratio in dB", field="psnr")
        check_column(self.sources, count, kind="iu", field="sources")
        allowed = (self.sources >= 0) & (self.sources < 2**63)
        check_each(allowed, self.sources, wanted="a 64-bit number from 0", field="sources")
        check_families([limit.family for limit in self.power])
        if self.neighbours is not None:
            check_neighbours(self.neighbours, self.samples, self.domain)
        if self.enrolment is not None and len(self.enrolment.differing) != count:
            raise InvalidArgumentError(
                f"{count} numbers were wanted, but {len(self.enrolment.differing)} came",
                field="enrolment.differing",
            )

    def __len__(self) -> int:
        return len(self.samples)

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
        """The fingerprint of some samples, in this order.

        It has no power: that was measured for all of them together.

        Args:
            rows: Numbers of samples, from 0.

        Raises:
            InvalidArgumentError: There is no such sample, or none is left.
        """
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            raise InvalidArgumentError(
                f"a row of sample numbers was wanted, but {rows.dtype} of shape {rows.shape} came"
            )
        check_each(
            (rows >= 0) & (rows < len(self)), rows, wanted=f"0 to {len(self) - 1}", field="rows"
        )
        return Fingerprint(
            domain=self.domain,
            spec=self.spec,
            classes=self.classes,
            names=self.names,
            samples=self.samples[rows],
            expected=self.expected.take(rows),
            margins=self.margins[rows],
            moves=self.moves[rows],
            factor=self.factor,
            psnr=self.psnr[rows],
            sources=self.sources[rows],
            origin=self.origin,
            neighbours=None if self.neighbours is None else self.neighbours[rows],
            enrolment=None if self.enrolment is None else self.enrolment.take(rows),
        )
