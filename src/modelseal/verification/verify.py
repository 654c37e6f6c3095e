"""Asking an endpoint whether it still serves the sealed model."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from modelseal.endpoints import recorded
from modelseal.enums import Depth
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.files import now
from modelseal.fingerprint.fingerprint import Enrollment, Fingerprint
from modelseal.outputs.answers import Kind
from modelseal.types import Array, Progress, ignore
from modelseal.verdict import Evidence, Finding, Outcome, Provenance, Verdict
from modelseal.verification.judge import Stop, conclude, examine
from modelseal.verification.ledger import Budget, check_count, find_ledger
from modelseal.verification.natural_images import Decoys, Naturals, load_decoys, mix_decoys
from modelseal.verification.querier import (
    PickInputs,
    QueryPolicy,
    Reply,
    Unasked,
    ask_all,
    sample_alone,
    sample_and_neighbours,
    sample_or_neighbour,
)
from modelseal.verification.sequential import (
    SequentialPolicy,
    Tallies,
    ask_repeatedly,
    check_sequential,
    find_levels,
)
from modelseal.verification.session import Notify, Session, Target, name_of


def verify(  # noqa: PLR0913 (all that a check can be told)
    fingerprint: Fingerprint,
    endpoint: Target,
    *,
    policy: QueryPolicy | None = None,
    sequential: SequentialPolicy | None = None,
    depth: Depth = Depth.FIRST_PROOF,
    neighbours: bool = False,
    decoys: Decoys | None = None,
    preflight: Path | Naturals | None = None,
    ledger: Path | None = None,
    per_check: int | None = None,
    max_uses: int | None = None,
    record: Path | None = None,
    resume: Path | None = None,
    shows: Kind | None = None,
    generator: np.random.Generator | None = None,
    progress: Progress = ignore,
    notify: Notify = lambda sentence: None,
) -> Verdict:
    """Asks an endpoint the samples of a fingerprint, one input at a time in random order.

    Args:
        fingerprint: The samples and their expected answers.
        endpoint: What to ask: an `Endpoint`, or what `modelseal.endpoint` takes.
        policy: How to ask; by default one sample after another at once, with three retries after
            faults that may pass.
        sequential: How an enrolled fingerprint is judged.
        depth: Whether to stop at the first sample that differs, which is proof enough.
        neighbours: Whether each sample is asked by its neighbours, too. Each query of an enrolled
            fingerprint is a sample or one of its neighbours anyway.
        decoys: Natural inputs, as `Domain.encode` stores them, that are asked among the samples;
            or a folder or `.npz` of images and how many of them are drawn. Their answers are
            neither judged nor recorded.
        preflight: An `.npz` of natural images with their labels, asked before any sample; by
            default what an endpoint.toml names as its check.
        ledger: The ledger of spent samples; by default beside the fingerprint's file. It is begun
            if `per_check` or `max_uses` needs one.
        per_check: How many samples this check takes; by default as the ledger says, or all.
        max_uses: How often a sample may be asked; by default any number of times.
        record: A new file in which every answer is kept.
        resume: The file of such a record to go on with.
        shows: What the numbers of an endpoint are that is opened here: scores or probabilities;
            by default what the fingerprint expects.
        generator: The source of the order, and of pauses; by default a new one.
        progress: Told after each query the stage `verify`, how many are done, and of how many.
        notify: Told in a sentence what a user should know: that the stock of samples runs low, or
            how much a record holds.

    Returns:
        Intact only if every sample of the check was answered as expected; tampered if one was
        answered otherwise; undecided if an answer is missing or malformed and none differs, or
        the endpoint cannot be asked at all. An endpoint that gives no answer three times in a row
        is asked no further, but for a file. Of an enrolled fingerprint, tampered if the answers
        differ too often for the enrolled deployment, and intact if for every sample the enrolled
        answer is still the most frequent one.

    Raises:
        InvalidArgumentError: The arguments do not fit the fingerprint or one another.
        BadFileError: A file cannot be used, or too few samples are left.
        MissingExtraError: A client is needed that is not installed.

    Examples:
        >>> import modelseal as ms
        >>> fingerprint = ms.load("out.seal")  # doctest: +SKIP
        >>> ms.verify(fingerprint, "answers.jsonl").outcome  # doctest: +SKIP
        <Outcome.INTACT: 'intact'>
    """
    policy, sequential = policy or QueryPolicy(), sequential or SequentialPolicy()
    generator = generator or np.random.default_rng()
    path = find_ledger(ledger, fingerprint)
    budget = Budget(ledger=path, per_check=per_check, max_uses=max_uses)
    enrollment = fingerprint.enrollment
    _check_arguments(fingerprint, sequential, neighbours=neighbours, decoys=decoys)
    _check_files(fingerprint, budget, record=record, resume=resume)
    drawn = load_decoys(decoys, fingerprint, generator)
    name, beside = name_of(endpoint), neighbours or enrollment is not None
    try:
        with Session(
            fingerprint=fingerprint,
            target=endpoint,
            policy=policy,
            generator=generator,
            shows=shows,
            notify=notify,
        ) as session:
            if enrollment is not None:
                check_sequential(session.endpoint, policy, sequential, enrollment)
            session.preflight(preflight)
            session.begin(budget, record=record, resume=resume, neighbours=beside)
            if enrollment is not None:
                verdict = _verify_enrolled(session, sequential, enrollment, depth, progress)
            else:
                inputs = sample_and_neighbours if neighbours else sample_alone
                verdict = _verify_sealed(session, inputs, drawn, depth, progress)
    except EndpointError as error:
        verdict = Verdict(
            outcome=Outcome.UNDECIDED,
            samples=len(fingerprint),
            evidence=(),
            reason=f"the endpoint cannot be asked: {error}",
        )
    return replace(verdict, provenance=_provenance_of(fingerprint, name))


def _provenance_of(fingerprint: Fingerprint, endpoint: str) -> Provenance:
    return Provenance(
        fingerprint=fingerprint.file,
        signed_by=fingerprint.signer,
        endpoint=endpoint,
        weights_digest=fingerprint.origin.weights_digest,
        time=now(),
        false_alarm_bound=fingerprint.false_alarm_bound,
        power=fingerprint.power,
        harmless_answers=fingerprint.origin.harmless_answers,
    )


def _check_arguments(
    fingerprint: Fingerprint,
    sequential: SequentialPolicy,
    *,
    neighbours: bool,
    decoys: Decoys | None,
) -> None:
    if fingerprint.enrollment is None:
        for field in ("alpha", "queries", "look"):
            if getattr(sequential, field) is not None:
                raise InvalidArgumentError(
                    "expected an enrolled fingerprint, got one that was only sealed", field=field
                )
    elif decoys is not None:
        raise InvalidArgumentError(
            "expected none for an enrolled fingerprint, whose samples are asked again and again",
            field="decoys",
        )
    # Where none were found, the row of each sample holds zeros.
    if neighbours and (fingerprint.neighbours is None or not fingerprint.neighbours.any()):
        raise InvalidArgumentError(
            "expected a fingerprint with neighbours, got one without", field="neighbours"
        )


def _check_files(
    fingerprint: Fingerprint, budget: Budget, *, record: Path | None, resume: Path | None
) -> None:
    check_count(budget.per_check, fingerprint)
    if record is not None and resume is not None:
        raise InvalidArgumentError("expected a new record or one to resume, got both")
    if record is not None:
        recorded.check_new(record)
    if resume is not None and fingerprint.enrollment is not None:
        raise InvalidArgumentError(
            "expected none for an enrolled fingerprint, which is asked anew each time, got "
            f"{resume}",
            field="resume",
        )


def _verify_enrolled(
    session: Session,
    sequential: SequentialPolicy,
    enrollment: Enrollment,
    depth: Depth,
    progress: Progress,
) -> Verdict:
    fingerprint, chosen = session.fingerprint, session.chosen
    # Checks that a ledger counts are a schedule, unless the user numbers them.
    policy = replace(sequential, look=sequential.look or session.look)
    samples = len(fingerprint if chosen is None else chosen)
    levels = find_levels(policy, enrollment, samples=samples)
    return ask_repeatedly(
        session.querier(sample_or_neighbour),
        Tallies(fingerprint, levels, chosen=chosen),
        depth=depth,
        progress=progress,
    )


def _verify_sealed(
    session: Session,
    inputs: PickInputs,
    decoys: tuple[Array, ...],
    depth: Depth,
    progress: Progress,
) -> Verdict:
    fingerprint, chosen = session.fingerprint, session.chosen
    wanted = range(len(fingerprint)) if chosen is None else chosen
    order = [int(number) for number in session.generator.permutation(wanted)]
    querier = session.querier(inputs, decoys=decoys)
    findings = _Findings(
        depth=depth,
        patience=querier.patience,
        progress=lambda done: progress("verify", done, len(wanted)),
    )
    for number, answer in session.known.items():
        findings.add(examine(fingerprint, number, answer))
    if findings.stop is None:
        left = [number for number in order if number not in session.known]
        numbers = mix_decoys(
            left, first=len(fingerprint), count=len(decoys), generator=session.generator
        )
        ask_all(querier, numbers, findings.take, concurrency=session.policy.concurrency)
    found = findings.found
    evidence = [found[number] for number in (*session.known, *querier.asked) if number in found]
    return conclude(fingerprint, tuple(evidence), findings.stop, chosen=chosen)


class _Findings:
    """What was found by now, and whether it is enough."""

    def __init__(self, *, depth: Depth, patience: float, progress: Callable[[int], None]) -> None:
        self.found: dict[int, Evidence] = {}
        self.stop: Stop | None = None
        self._depth = depth
        self._patience = patience
        self._progress = progress
        self._silent = 0

    def add(self, entry: Evidence) -> None:
        self.found[entry.sample] = entry
        if entry.finding is Finding.DIFFERS and self._depth is Depth.FIRST_PROOF:
            self.stop = Stop.PROOF

    def take(self, reply: Reply | Unasked) -> bool:
        if isinstance(reply, Unasked):
            if reply is Unasked.TIME_OVER:
                self.stop = self.stop or Stop.TIME
            return True
        if reply.evidence is not None:
            self.add(reply.evidence)
        self._silent = self._silent + 1 if reply.silent else 0
        if self._silent >= self._patience:
            self.stop = self.stop or Stop.SILENCE
        self._progress(len(self.found))
        return self.stop is not None
