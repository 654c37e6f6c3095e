"""Asking an enrolled endpoint again and again, until its answers settle the verdict."""

from collections.abc import Callable
from math import inf

import numpy as np

from modelseal.endpoints.base import Endpoint
from modelseal.endpoints.recorded import RecordedEndpoint
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.fingerprint.record import Fingerprint
from modelseal.shapes import Codes
from modelseal.verdict import Verdict
from modelseal.verifying.asking import Asker, Unasked
from modelseal.verifying.concluding import Stop
from modelseal.verifying.course import Depth, patience
from modelseal.verifying.manners import Manners
from modelseal.verifying.summing_up import sum_up
from modelseal.verifying.tallying import Tallies, Turns
from modelseal.verifying.terms import Levels, apply


def verify_repeatedly(
    fingerprint: Fingerprint,
    asker: Asker,
    *,
    generator: np.random.Generator,
    depth: Depth = Depth.FIRST_PROOF,
    progress: Callable[[int, int], None],
) -> Verdict:
    """Asks an endpoint the samples of an enrolled fingerprint, each as often as it takes.

    Each question is a sample or one of its neighbours, by chance, so that a table of canned
    answers to the samples does not pass. They are asked one after another.

    Args:
        fingerprint: An enrolled one.
        asker: Asks the endpoint; its manners say how sure a verdict must be.
        generator: The source of the order, and of which neighbour is asked.
        depth: Whether to stop when tampering is proven, or when every sample is settled.
        progress: Told after each question how many there were, and how many are allowed.

    Returns:
        Tampered if the answers differ too often for the enrolled deployment; intact if for every
        sample the enrolled answer is still the most frequent one; undecided if the questions that
        are allowed settle neither, or no answers come.

    Raises:
        InvalidArgumentError: The fingerprint cannot be asked so, as `check` says.
    """
    levels = check(fingerprint, asker.endpoint, asker.manners)
    tallies, turns = Tallies(fingerprint, levels, chosen=asker.manners.chosen), Turns(generator)
    longest, silent = patience(asker.endpoint), 0.0
    while tallies.queries < levels.queries:
        number = turns.choose(tallies)
        if number is None or (tallies.proven and depth is Depth.FIRST_PROOF):
            return sum_up(tallies, stop=None)
        answer = ask_face(asker, number, generator)
        if isinstance(answer, Unasked):
            return sum_up(tallies, stop=Stop.TIME)
        tallies.take(number, answer)
        progress(tallies.queries, levels.queries)
        silent = silent + 1 if isinstance(answer, EndpointError) else 0.0
        if silent >= longest < inf:
            return sum_up(tallies, stop=Stop.SILENCE)
    return sum_up(tallies, stop=Stop.BUDGET)


def check(fingerprint: Fingerprint, endpoint: Endpoint, manners: Manners) -> Levels:
    """What answers are compared with, once it is known that a fingerprint can be asked so.

    Nothing is asked: whoever spends samples, or keeps a record, looks first whether that is of use.

    Args:
        fingerprint: What is going to be asked.
        endpoint: Whom.
        manners: How.

    Raises:
        InvalidArgumentError: The fingerprint is not enrolled, or was asked too little at enrolment
            for these terms; or the endpoint is a file of answers; or answers are known from
            earlier, or several questions shall be asked at once, or natural inputs among the
            samples.
    """
    if fingerprint.enrolment is None:
        raise InvalidArgumentError("an enrolled fingerprint was wanted, but this one is not")
    check_fresh(endpoint)
    if manners.known:
        raise InvalidArgumentError(
            "no answers of earlier were wanted, since an enrolled fingerprint is asked anew each "
            f"time, but those to {len(manners.known)} samples came"
        )
    if manners.concurrency > 1:
        raise InvalidArgumentError(
            "one question at a time was wanted, since each answer of an enrolled fingerprint says "
            f"what is asked next, but {manners.concurrency} came",
            field="concurrency",
        )
    if manners.cover:
        raise InvalidArgumentError(
            "no natural inputs for cover were wanted, since the samples of an enrolled fingerprint "
            f"are asked again and again, but {len(manners.cover)} came"
        )
    samples = len(fingerprint if manners.chosen is None else manners.chosen)
    return apply(manners.terms, fingerprint.enrolment, samples=samples)


def check_fresh(endpoint: Endpoint) -> None:
    """Makes sure that each answer is a draw of its own.

    Raises:
        InvalidArgumentError: The endpoint is a file, which says the same however often it is
            asked: one answer would count as many.
    """
    if isinstance(endpoint, RecordedEndpoint):
        raise InvalidArgumentError(
            "a service that answers each question anew was wanted, since how often answers differ "
            "is counted, but recorded answers came"
        )


def ask_face(asker: Asker, number: int, generator: np.random.Generator) -> object:
    """Asks a sample or one of its neighbours, by chance, when its turn has come.

    Chance, and not a fixed turn, makes every question alike, so that one bound holds for all.

    Returns:
        An answer of whatever form, the EndpointError that stands for none, or why nothing was
        asked.
    """
    unasked = asker.take_turn(number)
    if unasked is not None:
        return unasked
    answer = asker.send(choose_face(asker.fingerprint, number, generator))
    asker.note(number, answer)
    return answer


def choose_face(fingerprint: Fingerprint, number: int, generator: np.random.Generator) -> Codes:
    """A sample or one of its neighbours, by chance."""
    faces = fingerprint.faces(number)
    return faces[[generator.integers(len(faces))]]
