"""What the samples of one subject answered, as one array for all changed networks."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar, cast

import numpy as np
from jaxtyping import Bool

from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.results import SampleSet, Subject, Trial

Changed: TypeAlias = Bool[np.ndarray, "trials samples"]
"""Whether each sample was answered otherwise by each changed network."""

Noticed: TypeAlias = Bool[np.ndarray, "trials bags"]
"""Whether each chosen set noticed each changed network."""


Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Responses:
    """The samples of one subject and what every applied change did to them.

    Args:
        samples: The samples.
        trials: The applied trials.
        changed: A row for each trial, a column for each sample.
    """

    samples: SampleSet
    trials: tuple[Trial, ...]
    changed: Changed

    @property
    def method(self) -> str:
        """The name of the method that made the samples."""
        return self.samples.subject.method

    def only(self, wanted: Callable[[Trial], bool]) -> "Responses":
        """The same samples with some of the trials."""
        return self.take([row for row, trial in enumerate(self.trials) if wanted(trial)])

    def take(self, rows: Sequence[int]) -> "Responses":
        """The same samples with the trials of these numbers."""
        return Responses(
            samples=self.samples,
            trials=tuple(self.trials[row] for row in rows),
            changed=self.changed[list(rows)],
        )

    def split(self, key: Callable[[Trial], Key]) -> dict[Key, "Responses"]:
        """The same samples with the trials of each key, in the order of their first trials."""
        keys = [key(trial) for trial in self.trials]
        return {
            each: self.take([row for row, other in enumerate(keys) if other == each])
            for each in dict.fromkeys(keys)
        }

    def reach(self, rule: str) -> int:
        """How many samples every bag has in the order of a rule; 0 if it has no bags."""
        return min(map(len, self.samples.picks.get(rule, ())), default=0)

    def notices(self, rule: str, number: int) -> Noticed:
        """Whether any of the first `number` picks of each bag was answered otherwise.

        Args:
            rule: How the samples of a bag were chosen.
            number: From 1 to `reach(rule)`.
        """
        picks = np.array([bag[:number] for bag in self.samples.picks[rule]])
        return cast(Noticed, self.changed[:, picks].any(axis=-1))


def is_graded(trial: Trial) -> bool:
    """Whether it belongs to a family of many levels."""
    return trial.level is not None


def identify(trial: Trial) -> Hashable:
    """The changed network, which trials of several methods share."""
    return (trial.name, trial.level, trial.seed, trial.tampering)


def gather(samples: SampleSet, trials: Iterable[Trial]) -> Responses:
    """What the applied ones of some trials say of these samples.

    Raises:
        InvalidArgumentError: A trial has another number of answers than there are samples, or a
            bag names a sample that does not exist.
    """
    applied = tuple(trial for trial in trials if not trial.reason)
    size = len(samples.psnr)
    for trial in applied:
        if len(trial.changed) != size:
            raise InvalidArgumentError(
                f"a trial of {tell(samples.subject)} needs {size} answers, one for each sample, "
                f"but {trial.tampering} has {len(trial.changed)}"
            )
    check_picks(samples)
    changed = np.array([trial.changed for trial in applied], dtype=bool)
    return Responses(samples=samples, trials=applied, changed=changed.reshape(len(applied), size))


def check_picks(samples: SampleSet) -> None:
    """Makes sure that every chosen sample exists.

    Raises:
        InvalidArgumentError: One does not.
    """
    size = len(samples.psnr)
    chosen = {pick for bags in samples.picks.values() for bag in bags for pick in bag}
    if beyond := sorted(pick for pick in chosen if not 0 <= pick < size):
        raise InvalidArgumentError(
            f"the picks of {tell(samples.subject)} need numbers below {size}, "
            f"but one is {beyond[0]}"
        )


def pair(sets: Sequence[SampleSet], trials: Sequence[Trial]) -> tuple[Responses, ...]:
    """The samples of every subject with its trials, in the order of the sets.

    Raises:
        InvalidArgumentError: A trial has no samples, a subject has two sets of them, or the two
            do not fit each other.
    """
    of: dict[Subject, list[Trial]] = {}
    for each in sets:
        if each.subject in of:
            raise InvalidArgumentError(
                f"one set of samples was wanted for {tell(each.subject)}, but there are two"
            )
        of[each.subject] = []
    for trial in trials:
        if trial.subject not in of:
            raise InvalidArgumentError(
                f"the samples of {tell(trial.subject)} were wanted, but there are only trials"
            )
        of[trial.subject].append(trial)
    return tuple(gather(each, of[each.subject]) for each in sets)


def tell(subject: Subject) -> str:
    """A subject in a sentence."""
    return f"{subject.method} on {subject.network} behind {subject.spec}"
