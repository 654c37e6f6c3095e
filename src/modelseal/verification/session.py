"""A check or an enrollment under way: what it is called, what it may spend and what it keeps."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TypeAlias

import numpy as np

from modelseal.endpoints import factory, recorded
from modelseal.endpoints.endpoint import Endpoint
from modelseal.endpoints.recorded import Heading
from modelseal.errors import BadFileError, EndpointError
from modelseal.fingerprint.fingerprint import Fingerprint
from modelseal.outputs.answers import Answers, Kind
from modelseal.types import Array, Inputs, Labels, Scores
from modelseal.verification.ledger import Budget
from modelseal.verification.natural_images import Naturals, check_mapping, find_naturals
from modelseal.verification.querier import Note, PickInputs, Querier, QueryPolicy, sample_alone

Target: TypeAlias = Endpoint | str | Path | Callable[[Inputs], Labels | Scores]
"""What is asked: an endpoint, or what `modelseal.endpoint` makes one of."""

Notify: TypeAlias = Callable[[str], None]
"""Is told in one sentence what a user should know."""


def name_of(target: Target) -> str:
    """What an endpoint is called where others read it, without secrets."""
    if isinstance(target, str | Path):
        return factory.endpoint_name(str(target))
    own = getattr(target, "name", None) or getattr(target, "__qualname__", None)
    return str(own or type(target).__name__)


@dataclass(kw_only=True, eq=False)
class Session:
    """Asks one endpoint the samples of a fingerprint, under an account and with a record."""

    fingerprint: Fingerprint
    target: Target
    policy: QueryPolicy
    generator: np.random.Generator
    shows: Kind | None = None
    notify: Notify = lambda sentence: None
    chosen: tuple[int, ...] | None = None
    look: int | None = None
    """How many checks of this endpoint the ledger counts, this one among them."""
    known: Mapping[int, Answers | EndpointError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.name = name_of(self.target)
        self.endpoint = factory.endpoint(
            self.target,
            self.fingerprint,
            shows=self.shows,
            timeout=self.policy.timeout,
            time_limit=self.policy.time_limit,
        )
        # An endpoint.toml that is edited meanwhile may lead elsewhere.
        if name_of(self.target) != self.name:
            raise BadFileError(str(self.target), "was edited while it was being opened; try again")
        self._begun = monotonic()
        self._check: str | None = None
        self._note: Note | None = None
        self._held = ExitStack()

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._held.close()

    def querier(
        self,
        inputs: PickInputs = sample_alone,
        *,
        decoys: tuple[Array, ...] = (),
        generator: np.random.Generator | None = None,
    ) -> Querier:
        """What asks within the time that is left, and writes the record of samples."""
        return Querier(
            endpoint=self.endpoint,
            fingerprint=self.fingerprint,
            policy=self.policy,
            generator=generator or self.generator,
            inputs=inputs,
            decoys=decoys,
            note=self._note,
            begun=self._begun,
        )

    def preflight(self, images: Path | Naturals | None) -> None:
        """Asks natural images before any sample, if somebody names some."""
        if not isinstance(images, Naturals):
            # A declared endpoint is named by its file, with the place that it declares behind.
            declared = self.name.partition(" (")[0]
            images = find_naturals(declared, self.fingerprint, file=images)
        if images is not None:
            # The caller's generator is that of the samples, and of nothing else.
            check_mapping(self.querier(generator=np.random.default_rng()), images)

    def begin(
        self, budget: Budget, *, record: Path | None, resume: Path | None, neighbours: bool
    ) -> None:
        """Enters the samples in the ledger, and begins a record; or goes on with a record."""
        if resume is not None:
            self._resume(resume, budget, self._heading(neighbours=neighbours))
            return
        spent = budget.spend(self.fingerprint, endpoint=self.name, generator=self.generator)
        if spent is not None:
            self.chosen, self.look, self._check = spent.samples, spent.look, spent.check
            if warning := budget.describe_stock(spent, self.fingerprint):
                self.notify(warning)
        if record is not None:
            # A record is of the check that the ledger has, and so begins after that.
            recorder = recorded.start(record, self._heading(neighbours=neighbours))
            self._held.callback(recorder.release)
            self._note = recorder.note

    def _resume(self, path: Path, budget: Budget, heading: Heading) -> None:
        recorder, past = recorded.resume(path, heading)
        self._held.callback(recorder.release)
        if past.cut:
            self.notify(f"{path}: its last line was half written and is left out")
        count = f"{len(past.answers)} of {len(self.fingerprint)} samples"
        self.notify(f"{path}: {count} are answered there and are not asked again")
        self._note, self.known = recorder.note, past.answers
        self.chosen = budget.find(
            self.fingerprint, endpoint=self.name, check=past.check, known=past.answers
        )

    def _heading(self, *, neighbours: bool) -> Heading:
        return Heading(
            fingerprint=self.fingerprint.digest,
            samples=len(self.fingerprint),
            endpoint=self.name,
            neighbours=neighbours and self.fingerprint.neighbours is not None,
            check=self._check,
        )
