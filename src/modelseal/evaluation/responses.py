"""What the samples of one subject answered, as one array for all changed networks."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar, cast

import numpy as np
from jaxtyping import Bool

from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.plan import Subject
from modelseal.evaluation.results import SampleSet, Trial

_Changed: TypeAlias = Bool[np.ndarray, "trials samples"]
"""Whether each sample was answered otherwise by each changed network."""

Noticed: TypeAlias = Bool[np.ndarray, "trials bags"]
"""Whether each chosen set noticed each changed network."""

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Responses:
    """The samples of one subject and its applied trials: a row each, a column for each sample."""

    samples: SampleSet
    trials: tuple[Trial, ...]
    changed: _Changed

    @property
    def method(self) -> str:
        """The name of the method that made the samples."""
        return self.samples.subject.method

    def only(self, wanted: Callable[[Trial], bool]) -> "Responses":
        """The same samples with some of the trials."""
        return self._take([row for row, trial in enumerate(self.trials) if wanted(trial)])

    def split(self, key: Callable[[Trial], Key]) -> dict[Key, "Responses"]:
        """The same samples with the trials of each key, in the order of their first trials."""
        rows: dict[Key, list[int]] = {}
        for row, trial in enumerate(self.trials):
            rows.setdefault(key(trial), []).append(row)
        return {each: self._take(own) for each, own in rows.items()}

    def _take(self, rows: Sequence[int]) -> "Responses":
        trials = tuple(self.trials[row] for row in rows)
        return Responses(samples=self.samples, trials=trials, changed=self.changed[list(rows)])

    @property
    def single(self) -> "Responses":
        """The same samples with the trials of families of one."""
        return self.only(lambda trial: not is_graded(trial))

    @property
    def families(self) -> "dict[str, Responses]":
        """The same samples with the trials of each family of one, by its name."""
        return self.single.split(lambda trial: trial.name)

    def reach(self, rule: str) -> int:
        """How many samples every bag has in the order of a rule; 0 if it has no bags."""
        return min(map(len, self.samples.picks.get(rule, ())), default=0)

    def notices(self, rule: str, number: int) -> Noticed:
        """Whether any of the first `number` picks of each bag was answered otherwise."""
        picks = np.array([bag[:number] for bag in self.samples.picks[rule]])
        return cast(Noticed, self.changed[:, picks].any(axis=-1))


def is_graded(trial: Trial) -> bool:
    """Whether it belongs to a family of many levels."""
    return trial.level is not None


def identify(trial: Trial) -> Hashable:
    """The changed network, which trials of several methods share."""
    return (trial.name, trial.level, trial.seed, trial.tampering)


def gather(samples: SampleSet, trials: Iterable[Trial]) -> Responses:
    """What the applied ones of some trials say of these samples."""
    applied = tuple(trial for trial in trials if not trial.reason)
    size = len(samples)
    for trial in applied:
        if len(trial.changed) != size:
            raise InvalidArgumentError(
                f"expected {size} answers in a trial of {samples.subject}, one for each sample, "
                f"got {len(trial.changed)} of {trial.tampering}"
            )
    changed = np.array([trial.changed for trial in applied], dtype=bool)
    return Responses(samples=samples, trials=applied, changed=changed.reshape(len(applied), size))


def pair(sets: Sequence[SampleSet], trials: Sequence[Trial]) -> tuple[Responses, ...]:
    """The samples of every subject with its trials, in the order of the sets."""
    of: dict[Subject, list[Trial]] = {each.subject: [] for each in sets}
    if len(of) < len(sets):
        raise InvalidArgumentError("expected one set of samples for each subject, got two of one")
    for trial in trials:
        if trial.subject not in of:
            raise InvalidArgumentError(f"expected samples of {trial.subject}, got only trials")
        of[trial.subject].append(trial)
    return tuple(gather(each, of[each.subject]) for each in sets)
