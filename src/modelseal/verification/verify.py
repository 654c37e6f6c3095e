"""Asking an endpoint whether it still serves the sealed model."""

from functools import partial

import numpy as np

from modelseal.endpoints.endpoint import Endpoint
from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.record import Fingerprint
from modelseal.types import Progress, ignore
from modelseal.verdict import Verdict
from modelseal.verification.decoys import mix
from modelseal.verification.judge import conclude
from modelseal.verification.policy import Manners
from modelseal.verification.querier import Asker, Course, Depth, ask_at_once, ask_in_turn, patience
from modelseal.verification.sequential import verify_repeatedly


def verify(
    fingerprint: Fingerprint,
    endpoint: Endpoint,
    *,
    generator: np.random.Generator,
    depth: Depth = Depth.FIRST_PROOF,
    progress: Progress = ignore,
    manners: Manners | None = None,
) -> Verdict:
    """Asks an endpoint the samples of a fingerprint, one input at a time in random order.

    Args:
        fingerprint: The samples and their expected answers.
        endpoint: What to ask.
        generator: The source of the order, and of pauses.
        depth: Whether to stop at the first sample that differs, which is proof enough.
        progress: Told after each sample how many were asked and how many there are.
        manners: How to ask, what is known from earlier, and what is kept; by default one sample
            after another at once, with three retries after faults that may pass.

    Returns:
        Intact only if every one of these was answered as expected; tampered if one was answered
        otherwise; undecided if an answer is missing or malformed and none differs. An endpoint
        that gives no answer several times in a row is asked no further, but for a file. An
        enrolled fingerprint is asked and judged as `verify_repeatedly` says.

    Raises:
        InvalidArgumentError: A sample is chosen that the fingerprint does not hold, or an answer
            is known of one that is not asked; or the fingerprint is enrolled, and cannot be asked
            so.
    """
    manners = manners or Manners()
    note = partial(progress, "verify")
    check_numbers(fingerprint, manners)
    asker = Asker(endpoint, fingerprint, manners=manners, generator=generator)
    if fingerprint.enrollment is not None:
        return verify_repeatedly(
            fingerprint, asker, generator=generator, depth=depth, progress=note
        )
    wanted = range(len(fingerprint)) if manners.chosen is None else manners.chosen
    order = [int(number) for number in generator.permutation(wanted)]
    course = Course(
        fingerprint,
        depth=depth,
        silence=patience(endpoint),
        progress=lambda done, _: note(done, len(wanted)),
    )
    if recall(course, manners):
        found = tuple(course.found.values())
        return conclude(fingerprint, found, course.stop, chosen=manners.chosen)
    left = [number for number in order if number not in course.found]
    numbers = mix(left, fingerprint, manners.cover, generator)
    if manners.concurrency == 1:
        ask_in_turn(asker, numbers, course.take)
    else:
        ask_at_once(asker, numbers, course.take, workers=manners.concurrency)
    evidence = tuple(
        course.found[number] for number in (*manners.known, *asker.asked) if number in course.found
    )
    return conclude(fingerprint, evidence, course.stop, chosen=manners.chosen)


def recall(course: Course, manners: Manners) -> bool:
    """Takes all that is known from earlier, and tells whether it is enough."""
    for number, answer in manners.known.items():
        course.recall(number, answer)
    return course.stop is not None


def check_numbers(fingerprint: Fingerprint, manners: Manners) -> None:
    """Makes sure, before anything is asked, that there are all the samples that are spoken of.

    Raises:
        InvalidArgumentError: One is chosen that the fingerprint does not hold, or an answer is
            known of one that is not asked.
    """
    held = range(len(fingerprint))
    chosen = held if manners.chosen is None else manners.chosen
    for field, numbers, wanted in (("chosen", chosen, held), ("known", manners.known, chosen)):
        for number in numbers:
            if number not in wanted:
                among = f"samples 0 to {held[-1]} were wanted"
                among += " that are chosen" if wanted is manners.chosen else ""
                raise InvalidArgumentError(f"{among}, but {number} came", field=field)
