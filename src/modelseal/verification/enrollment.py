"""Choosing which of many answers to a sample is expected from now on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from math import ceil, log
from typing import cast

import numpy as np

from modelseal.endpoints.endpoint import Endpoint
from modelseal.endpoints.responses import join
from modelseal.errors import EndpointError, InvalidArgumentError, SealingError
from modelseal.files import now
from modelseal.fingerprint.record import MAX_REPEATS, Enrollment, Fingerprint
from modelseal.outputs.answers import Answers
from modelseal.outputs.specs import OutputSpec, RawScores
from modelseal.types import Array, Mask, Progress, ignore
from modelseal.verification.e_process import HALF, Counts, bound_all
from modelseal.verification.judge import tell, usable
from modelseal.verification.policy import ALPHA, Manners, Terms
from modelseal.verification.querier import Asker, Unasked
from modelseal.verification.sequential import check_fresh, choose_face


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Chosen:
    """What becomes of one sample.

    Args:
        sample: Its number.
        answer: The answer that is expected of it from now on, as a batch of one.
        differing: How many answers were others.
        otherwise: Whether it is another one than that of the sealed network.
    """

    sample: int
    answer: Answers
    differing: int
    otherwise: bool


def choose(fingerprint: Fingerprint, number: int, shown: Answers) -> Chosen:
    """The answer to a sample that came most often: that of the sealed network if half agree."""
    sealed = fingerprint.expected.take(np.array([number]))
    differing = len(shown) - count_like(fingerprint.spec, sealed, shown)
    if 2 * differing < len(shown):
        return Chosen(sample=number, answer=sealed, differing=differing, otherwise=False)
    alike = [
        count_like(fingerprint.spec, shown.take(np.array([row])), shown)
        for row in range(len(shown))
    ]
    best = int(np.argmax(alike))
    # As a file holds it: with how many digits an answer came is said by every new one.
    plain = replace(shown.take(np.array([best])), digits=None)
    return Chosen(
        sample=number,
        answer=plain,
        differing=len(shown) - alike[best],
        otherwise=True,
    )


def count_like(spec: OutputSpec, answer: Answers, shown: Answers) -> int:
    """How many of the shown answers are the same as this one."""
    agree: Array = spec.agree(answer.take(np.zeros(len(shown), int)), shown)
    return int(agree.sum())


REPEATS = 30
"""How often each sample is asked by default: one that differs twice in 30 is still kept."""

MOST_UNSTABLE = 0.4
"""Up to which bound on its share of differing answers a sample is kept by default.

A changed sample that always answers otherwise multiplies the e-value by up to 1 / bound each
time: at 0.4 it is proven by 10 answers among eight samples, at the limit of 0.5 by 13.
"""

LEAST = 0.5
"""The share of samples that must be steady: of a deployment that answers more than half of them
at random, chance would have chosen the rest."""


class Others(Enum):
    """What is done if a deployment answers otherwise than the sealed network."""

    REFUSE = "refuse"
    ACCEPT = "accept"


@dataclass(frozen=True, kw_only=True, slots=True)
class Demands:
    """What is asked of a deployment that shall be enrolled.

    Args:
        name: What it is called, without secrets.
        repeats: How often each sample is asked, from 1.
        alpha: The rate of false alarms at the most when it is verified later, above 0 and below 1.
        most_unstable: Up to which bound on its share of differing answers a sample is kept; above
            0 and at most 1/2, beyond which a changed sample could not be told from noise.
        others: What is done if it answers otherwise than the sealed network.

    Raises:
        InvalidArgumentError: A number is out of its range.
    """

    name: str
    repeats: int = REPEATS
    alpha: float = ALPHA
    most_unstable: float = MOST_UNSTABLE
    others: Others = Others.REFUSE

    def __post_init__(self) -> None:
        Terms(alpha=self.alpha)
        if not 1 <= self.repeats <= MAX_REPEATS:
            raise InvalidArgumentError(
                f"a number from 1 to {MAX_REPEATS} was wanted, but {self.repeats} came",
                field="repeats",
            )
        if not 0 < self.most_unstable <= HALF:
            raise InvalidArgumentError(
                f"a share above 0 and up to 0.5 was wanted, but {self.most_unstable!r} came",
                field="most_unstable",
            )


def enroll(
    fingerprint: Fingerprint,
    endpoint: Endpoint,
    *,
    demands: Demands,
    generator: np.random.Generator,
    progress: Progress = ignore,
    manners: Manners | None = None,
) -> Fingerprint:
    """Asks a trusted deployment every sample many times, and records its answers.

    The order is random in every round, and each question is a sample or one of its neighbours, by
    chance, as when it is verified.

    Args:
        fingerprint: What is asked, as it was sealed.
        endpoint: The deployment. It must be trusted: what it answers now is expected later.
        demands: What is asked of it.
        generator: The source of the order, and of which neighbour is asked.
        progress: Told after each question how many there were, and how many there will be.
        manners: How to ask; questions are asked one after another.

    Returns:
        The samples that are steady there, with the answers that came most often, and how many
        answers were others. It has the power of sealing only if all samples were kept, and
        answered as the sealed network does.

    Raises:
        InvalidArgumentError: So few repeats cannot show that any sample is steady enough, or the
            endpoint is a file of answers, or the fingerprint is enrolled already.
        EndpointError: A question got no usable answer.
        SealingError: Less than half of the samples are steady, or some are answered otherwise than
            by the sealed network and that was not accepted or cannot be.
    """
    check(fingerprint, endpoint, demands)
    asker = Asker(endpoint, fingerprint, manners=manners or Manners(), generator=generator)
    shown = ask_all(
        asker, demands.repeats, generator=generator, progress=partial(progress, "enroll")
    )
    rows = [choose(fingerprint, number, answers) for number, answers in enumerate(shown)]
    differing = np.array([row.differing for row in rows])
    kept = find_steady(differing, demands)
    check_enough(kept, differing, demands)
    return put_together(fingerprint, [rows[number] for number in np.flatnonzero(kept)], demands)


def check(fingerprint: Fingerprint, endpoint: Endpoint, demands: Demands) -> None:
    """Makes sure, before samples are spent, that an enrolment could come of it.

    Args:
        fingerprint: What is going to be asked.
        endpoint: Whom.
        demands: What is asked of it.

    Raises:
        InvalidArgumentError: It could not, as `enroll` says.
    """
    check_sealed(fingerprint, demands)
    check_fresh(endpoint)
    check_repeats(demands, samples=len(fingerprint))


def check_sealed(fingerprint: Fingerprint, demands: Demands) -> None:
    """Makes sure that the answers of the sealed network are known, and others can be enrolled.

    Raises:
        InvalidArgumentError: The fingerprint expects the answers of a deployment already; or any
            other answer shall be accepted in place of raw scores.
    """
    if fingerprint.enrollment is not None:
        raise InvalidArgumentError(
            "a fingerprint as it was sealed was wanted, but this one is enrolled already, and what "
            "the sealed network answers is not in it: enrol the sealed file"
        )
    # `bound_all` needs answers that fall into kinds; scores within a tolerance of one another
    # do not, and of many the one that agrees with most was chosen among all of them.
    if demands.others is Others.ACCEPT and isinstance(fingerprint.spec, RawScores):
        raise InvalidArgumentError(
            "labels or rounded probabilities were wanted to accept other answers, but raw scores "
            "came, for which no bound on false alarms is known"
        )


def check_repeats(demands: Demands, *, samples: int) -> None:
    """Makes sure that a sample which never differs would be kept.

    Raises:
        InvalidArgumentError: It would not.
    """
    share = demands.alpha / (4 * samples)  # see `bound_all`
    needed = ceil(log(share) / log(1 - demands.most_unstable))
    if demands.repeats < needed:
        raise InvalidArgumentError(
            f"at least {needed} repeats are needed for {samples} samples, a rate of false alarms "
            f"of {demands.alpha:g} and a share of differing answers of at most "
            f"{demands.most_unstable:g}, but got {demands.repeats}"
        )


def ask_all(
    asker: Asker,
    repeats: int,
    *,
    generator: np.random.Generator,
    progress: Callable[[int, int], None],
) -> list[Answers]:
    """What was shown for each sample, in the form of the spec.

    Raises:
        EndpointError: A question got no usable answer.
    """
    count = len(asker.fingerprint)
    shown: list[list[Answers]] = [[] for _ in range(count)]
    for done in range(repeats):
        for place, number in enumerate(generator.permutation(count)):
            shown[number].append(ask_once(asker, int(number), generator))
            progress(done * count + place + 1, repeats * count)
    return [join(answers) for answers in shown]


def ask_once(asker: Asker, number: int, generator: np.random.Generator) -> Answers:
    """One usable answer to a sample.

    Raises:
        EndpointError: None came.
    """
    unasked: Unasked | None = asker.take_turn(number)
    if unasked is not None:
        raise EndpointError(f"sample {number} was not asked since {unasked.value}")
    answer = asker.send(choose_face(asker.fingerprint, number, generator))
    asker.note(number, answer)
    try:
        with np.errstate(over="ignore"):
            return asker.fingerprint.spec.read(usable(answer, asker.fingerprint.classes))
    except EndpointError as error:
        raise EndpointError(f"sample {number}: {error}") from error


def find_steady(differing: Counts, demands: Demands) -> Mask:
    """Which samples are steady enough, by the bounds that hold for all of them at once."""
    bounds = bound_all(differing, demands.repeats, risk=demands.alpha / 2, samples=len(differing))
    return cast(Mask, bounds <= demands.most_unstable)


def check_enough(kept: Mask, differing: Counts, demands: Demands) -> None:
    """Makes sure that enough samples are steady.

    Raises:
        SealingError: They are not.
    """
    least = ceil(LEAST * len(kept))
    if kept.sum() < least:
        raise SealingError(
            f"at least {least} of {len(kept)} samples were wanted that are answered steadily, but "
            f"{int(kept.sum())} are; of {demands.repeats} answers to each, "
            f"{int(np.median(differing))} differed from the most frequent one in the median: more "
            "repeats keep samples that differ less often than that"
        )


def put_together(fingerprint: Fingerprint, rows: list[Chosen], demands: Demands) -> Fingerprint:
    """The fingerprint of the samples that are kept.

    Raises:
        SealingError: Some are answered otherwise than by the sealed network.
    """
    others = [row for row in rows if row.otherwise]
    if others and demands.others is Others.REFUSE:
        raise SealingError(tell_others(fingerprint, others, of=len(rows)))
    numbers = np.array([row.sample for row in rows])
    whole = len(rows) == len(fingerprint) and not others
    enrolment = Enrollment(
        endpoint=demands.name,
        created=now(),
        alpha=demands.alpha,
        repeats=demands.repeats,
        asked=len(fingerprint),
        differing=tuple(row.differing for row in rows),
        otherwise=tuple(row.otherwise for row in rows),
    )
    return replace(
        fingerprint.take(numbers),
        expected=join([row.answer for row in rows]),
        power=fingerprint.power if whole else (),
        enrollment=enrolment,
    )


def tell_others(fingerprint: Fingerprint, others: list[Chosen], *, of: int) -> str:
    """What is said of samples that are answered otherwise than by the sealed network."""
    first = others[0]
    sealed = fingerprint.expected.take(np.array([first.sample]))
    wanted = tell(sealed, first.answer, fingerprint.names)
    came = tell(first.answer, sealed, fingerprint.names)
    return (
        f"{len(others)} of {of} samples are answered otherwise than by the sealed network (sample "
        f"{first.sample}: {came} in place of {wanted}): this deployment may have been changed "
        "already; accept other answers to enrol it as it is"
    )
