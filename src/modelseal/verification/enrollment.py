"""Enrollment: what a trusted deployment answers, and how steadily, is expected from now on."""

from dataclasses import dataclass, replace
from math import ceil, log
from pathlib import Path

import numpy as np

from modelseal.endpoints.responses import join
from modelseal.errors import EndpointError, InvalidArgumentError, SealingError
from modelseal.files import now
from modelseal.fingerprint.fingerprint import MAX_REPEATS, Enrollment, Fingerprint
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.specs import OutputSpec, RawScores
from modelseal.types import Array, Mask, Progress, ignore
from modelseal.verification.e_process import HALF, Counts, bound_all
from modelseal.verification.judge import describe_answer, read_answer
from modelseal.verification.ledger import Budget, find_ledger
from modelseal.verification.natural_images import Naturals
from modelseal.verification.querier import Querier, QueryPolicy, Unasked, sample_or_neighbour
from modelseal.verification.sequential import SequentialPolicy, check_fresh
from modelseal.verification.session import Session, Target

REPEATS = 30
"""How often each sample is asked by default: one that differs twice in 30 is still kept."""

ALPHA = 0.01
"""The rate of false alarms that enrollment aims at: one in a hundred checks at the most."""

_MOST_UNSTABLE = 0.4
"""Up to which bound on its share of differing answers a sample is kept by default.

A changed sample that always answers otherwise multiplies the e-value by up to 1 / bound each
time: at 0.4 it is proven by 10 answers among eight samples, at the limit of 0.5 by 13.
"""

_LEAST = 0.5
"""The share of samples that must be steady: of a deployment that answers more than half of them
at random, chance would have chosen the rest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Demands:
    repeats: int
    alpha: float
    most_unstable: float
    accept_other: bool

    def __post_init__(self) -> None:
        SequentialPolicy(alpha=self.alpha)
        if not 1 <= self.repeats <= MAX_REPEATS:
            raise InvalidArgumentError(
                f"expected a number from 1 to {MAX_REPEATS}, got {self.repeats}", field="repeats"
            )
        if not 0 < self.most_unstable <= HALF:
            raise InvalidArgumentError(
                f"expected a share above 0 and up to 0.5, got {self.most_unstable!r}",
                field="most_unstable",
            )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Chosen:
    """What is expected of one sample from now on; `otherwise` if not as the sealed network."""

    sample: int
    answer: Answers
    differing: int
    otherwise: bool


def enroll(  # noqa: PLR0913 (all that an enrollment can be told)
    fingerprint: Fingerprint,
    endpoint: Target,
    *,
    policy: QueryPolicy | None = None,
    repeats: int = REPEATS,
    alpha: float = ALPHA,
    most_unstable: float = _MOST_UNSTABLE,
    accept_other: bool = False,
    preflight: Path | Naturals | None = None,
    ledger: Path | None = None,
    shows: Kind | None = None,
    generator: np.random.Generator | None = None,
    progress: Progress = ignore,
) -> Fingerprint:
    """Asks a trusted deployment every sample many times, and records its answers.

    The order is random in every round, and each query is a sample or one of its neighbours, by
    chance, as when it is verified. They are sent one after another.

    Args:
        fingerprint: What is asked, as it was sealed.
        endpoint: The deployment: an `Endpoint`, or what `modelseal.endpoint` takes. It must be
            trusted: what it answers now is expected later.
        policy: How to ask.
        repeats: How often each sample is asked, from 1.
        alpha: The highest rate of false alarms when it is verified later, above 0 and below 1.
        most_unstable: Up to which bound on its share of differing answers a sample is kept; above
            0 and at most 1/2, beyond which a changed sample could not be told from noise.
        accept_other: Whether answers are accepted that are not those of the sealed network.
        preflight: An `.npz` of natural images with their labels, asked before any sample; by
            default what an endpoint.toml names as its check.
        ledger: The ledger of spent samples, by default beside the fingerprint's file; all are
            entered if it is there.
        shows: What the numbers of an endpoint are that is opened here: scores or probabilities;
            by default what the fingerprint expects.
        generator: The source of the order, and of which neighbour is asked; by default a new one.
        progress: Told after each query the stage `enroll`, how many are done, and of how many.

    Returns:
        The samples that are steady there, with the answers that came most often, and how many
        answers were others. It has the power of sealing only if all samples were kept, and
        answered as the sealed network does.

    Raises:
        InvalidArgumentError: A number is out of its range, or so few repeats cannot show that any
            sample is steady enough, or the endpoint is a file of answers, or the fingerprint is
            enrolled already.
        EndpointError: The endpoint cannot be asked, or a query got no usable answer.
        SealingError: Less than half of the samples are steady, or some are answered otherwise than
            by the sealed network and that was not accepted or cannot be.
    """
    demands = _Demands(
        repeats=repeats, alpha=alpha, most_unstable=most_unstable, accept_other=accept_other
    )
    generator = generator or np.random.default_rng()
    _check_before(fingerprint, demands)
    with Session(
        fingerprint=fingerprint,
        target=endpoint,
        policy=policy or QueryPolicy(),
        generator=generator,
        shows=shows,
    ) as session:
        check_fresh(session.endpoint)
        session.preflight(preflight)
        path = find_ledger(ledger, fingerprint)
        if path is not None and path.exists():
            budget = Budget(ledger=path, per_check=len(fingerprint))
            session.begin(budget, record=None, resume=None, neighbours=False)
        querier = session.querier(sample_or_neighbour)
        shown = _ask_all(querier, repeats, generator=generator, progress=progress)
    rows = [_choose(fingerprint, number, answers) for number, answers in enumerate(shown)]
    kept = _find_steady(np.array([row.differing for row in rows]), demands)
    return _put_together(
        fingerprint, [rows[number] for number in np.flatnonzero(kept)], demands, name=session.name
    )


def _check_before(fingerprint: Fingerprint, demands: _Demands) -> None:
    """Makes sure, before samples are spent, that an enrollment could come of it."""
    if fingerprint.enrollment is not None:
        raise InvalidArgumentError(
            "expected a fingerprint as it was sealed, with the answers of the sealed network, got "
            "one that is enrolled already",
            field="fingerprint",
        )
    # `bound_all` needs answers that fall into kinds; scores within a tolerance of one another
    # do not, and of many the one that agrees with most was chosen among all of them.
    if demands.accept_other and isinstance(fingerprint.spec, RawScores):
        raise InvalidArgumentError(
            "expected labels or rounded probabilities, got raw scores, for which no bound on "
            "false alarms is known",
            field="accept_other",
        )
    # With fewer, a sample that never differs would not be kept: see `bound_all`.
    share = demands.alpha / (4 * len(fingerprint))
    needed = ceil(log(share) / log(1 - demands.most_unstable))
    if demands.repeats < needed:
        raise InvalidArgumentError(
            f"expected at least {needed} for {len(fingerprint)} samples, a rate of false alarms "
            f"of {demands.alpha:g} and a share of differing answers of at most "
            f"{demands.most_unstable:g}, got {demands.repeats}",
            field="repeats",
        )


def _ask_all(
    querier: Querier, repeats: int, *, generator: np.random.Generator, progress: Progress
) -> list[Answers]:
    count = len(querier.fingerprint)
    shown: list[list[Answers]] = [[] for _ in range(count)]
    for done in range(repeats):
        for place, number in enumerate(generator.permutation(count)):
            shown[number].append(_ask_once(querier, int(number)))
            progress("enroll", done * count + place + 1, repeats * count)
    return [join(answers) for answers in shown]


def _ask_once(querier: Querier, number: int) -> Answers:
    reply = querier.ask(number)
    if isinstance(reply, Unasked):
        raise EndpointError(f"sample {number} was not asked since {reply.value}")
    try:
        return read_answer(querier.fingerprint, reply.answer)
    except EndpointError as error:
        raise EndpointError(f"sample {number}: {error}") from error


def _choose(fingerprint: Fingerprint, number: int, shown: Answers) -> _Chosen:
    """The answer to a sample that came most often: that of the sealed network if half agree."""
    sealed = fingerprint.expected.take(np.array([number]))
    differing = len(shown) - _count_alike(fingerprint.spec, sealed, shown)
    if 2 * differing < len(shown):
        return _Chosen(sample=number, answer=sealed, differing=differing, otherwise=False)
    rows = [shown.take(np.array([row])) for row in range(len(shown))]
    alike = [_count_alike(fingerprint.spec, row, shown) for row in rows]
    best = int(np.argmax(alike))
    # As a file holds it: with how many digits an answer came is said by every new one.
    plain = replace(rows[best], digits=None)
    return _Chosen(sample=number, answer=plain, differing=len(shown) - alike[best], otherwise=True)


def _count_alike(spec: OutputSpec, answer: Answers, shown: Answers) -> int:
    agree: Array = spec.agree(answer.take(np.zeros(len(shown), int)), shown)
    return int(agree.sum())


def _find_steady(differing: Counts, demands: _Demands) -> Mask:
    """Which samples are steady enough, by the bounds that hold for all of them at once."""
    bounds = bound_all(differing, demands.repeats, risk=demands.alpha / 2, samples=len(differing))
    kept = np.asarray(bounds <= demands.most_unstable)
    least = ceil(_LEAST * len(kept))
    if kept.sum() < least:
        raise SealingError(
            f"expected at least {least} of {len(kept)} samples to be answered steadily, got "
            f"{int(kept.sum())}; of {demands.repeats} answers to each, "
            f"{int(np.median(differing))} differed from the most frequent one in the median: more "
            "repeats keep samples that differ less often than that"
        )
    return kept


def _put_together(
    fingerprint: Fingerprint, rows: list[_Chosen], demands: _Demands, *, name: str
) -> Fingerprint:
    others = [row for row in rows if row.otherwise]
    if others and not demands.accept_other:
        raise SealingError(_describe_others(fingerprint, others, of=len(rows)))
    enrollment = Enrollment(
        endpoint=name,
        created=now(),
        alpha=demands.alpha,
        repeats=demands.repeats,
        asked=len(fingerprint),
        differing=tuple(row.differing for row in rows),
        otherwise=tuple(row.otherwise for row in rows),
    )
    whole = len(rows) == len(fingerprint) and not others
    return replace(
        fingerprint.take(np.array([row.sample for row in rows])),
        expected=join([row.answer for row in rows]),
        power=fingerprint.power if whole else (),
        enrollment=enrollment,
    )


def _describe_others(fingerprint: Fingerprint, others: list[_Chosen], *, of: int) -> str:
    first = others[0]
    sealed = fingerprint.expected.take(np.array([first.sample]))
    wanted = describe_answer(sealed, first.answer, fingerprint.names)
    came = describe_answer(first.answer, sealed, fingerprint.names)
    return (
        f"{len(others)} of {of} samples are answered otherwise than by the sealed network (sample "
        f"{first.sample}: {came} in place of {wanted}): this deployment may have been changed "
        "already; accept other answers to enrol it as it is"
    )
