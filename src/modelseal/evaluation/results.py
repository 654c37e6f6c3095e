"""The files of an evaluation's results, and some of its samples to look at."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Annotated, TypeAlias, TypeVar

import numpy as np
import safetensors
import safetensors.numpy
from pydantic import Field, PlainSerializer, WrapValidator, model_validator

from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.evaluation.adversary.detectors import Separation
from modelseal.evaluation.plan import FrozenPlan, Plan, Subject
from modelseal.files import explain
from modelseal.settings import Section, parse_json
from modelseal.types import Array

Picks: TypeAlias = tuple[tuple[int, ...], ...]
"""For each bag of candidates the numbers of the chosen samples, in the order of choice."""

Files: TypeAlias = Mapping[Path, bytes]
"""What a task writes, by path in the folder of results; the file that says it is done last."""


def _read_number(value: object, read: Callable[[object], float]) -> float:
    return inf if value is None or value == inf else read(value)


def _write_number(value: float) -> float | None:
    return None if value == inf else value


_Number = Annotated[float, WrapValidator(_read_number), PlainSerializer(_write_number)]
"""A number that may be infinite, which JSON has not: null in a file."""


class SampleSet(Section):
    """The samples of one subject.

    `psnr` is in dB against the natural input, infinite for the input itself; `margins` and
    `moves` say how far each sample is from another shown answer, and how far harmless variants
    moved it. `picks` has the chosen of each bag, by rule. `work` is what one sample cost in
    forward passes of one input. The alarms, by harmless variant, have a file of their own.
    """

    subject: Subject
    psnr: tuple[_Number, ...]
    margins: tuple[_Number, ...]
    moves: tuple[_Number, ...]
    picks: dict[str, Picks]
    work: float
    digest: str = ""
    alarms: dict[str, int] = Field(default={}, exclude=True)
    skipped: dict[str, str] = Field(default={}, exclude=True)

    @model_validator(mode="after")
    def _fits(self) -> "SampleSet":
        _check_lengths(self, "margins", "moves", count=len(self.psnr))
        for rule, bags in self.picks.items():
            for number, bag in enumerate(bags):
                if not all(0 <= pick < len(self) for pick in bag) or len(set(bag)) < len(bag):
                    raise InvalidArgumentError(
                        f"expected different numbers below {len(self)}, got {list(bag)}",
                        field=f"picks.{rule}[{number}]",
                    )
        return self

    def __len__(self) -> int:
        return len(self.psnr)


class FalseAlarms(Section):
    """By harmless variant, how many samples answered otherwise, or why it could not be run."""

    subject: Subject
    alarms: dict[str, int]
    skipped: dict[str, str]


class Trial(Section):
    """What one changed network did to the samples of one subject.

    `tampering` is the recipe's `repr`, `name` the row that it belongs to, `level` its place in a
    graded family. A recipe that did not reach its own goal has a `reason` and no answers.
    `effect` is the largest change of any score of natural and noise inputs.
    """

    subject: Subject
    tampering: str
    name: str
    level: float | None
    seed: int
    reason: str
    changed: tuple[bool, ...]
    effect: _Number

    @model_validator(mode="after")
    def _is_told(self) -> "Trial":
        if bool(self.reason) == bool(self.changed):
            raise InvalidArgumentError("expected either a reason or answers", field="reason")
        return self


class Suspicion(Section):
    """How well a provider tells the samples of one subject from other natural inputs.

    `detector` is the best of those that need nothing but inputs of both kinds, `tried` the
    numbers of the samples that it did not learn from, and `scores` what it gives them. Without
    any detector there is a `reason`.
    """

    subject: Subject
    separations: tuple[Separation, ...]
    detector: str
    tried: tuple[int, ...]
    scores: tuple[float, ...]
    reason: str = ""

    @model_validator(mode="after")
    def _fits(self) -> "Suspicion":
        _check_lengths(self, "scores", count=len(self.tried))
        if len(set(self.tried)) < len(self.tried) or min(self.tried, default=0) < 0:
            raise InvalidArgumentError(
                f"expected different numbers from 0, got {list(self.tried)}", field="tried"
            )
        known = [each.detector for each in self.separations]
        if not self.reason and self.detector not in known:
            raise InvalidArgumentError(
                f"expected one of {', '.join(known)}, got {self.detector!r}", field="detector"
            )
        return self


def _check_lengths(part: Section, *names: str, count: int) -> None:
    for name in names:
        found = len(getattr(part, name))
        if found != count:
            raise InvalidArgumentError(f"expected {count} numbers, got {found}", field=name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A task that could not be performed, and why."""

    task: str
    problem: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """All that an evaluation has found so far.

    Args:
        plan: The plan as it was frozen.
        sets: The samples of each subject, in the order of the subjects.
        wanted: How many trials the whole plan has; None if nobody counted them.
        trials: Every trial, in the order of subjects, changes, levels and seeds.
        suspicions: How well samples are told from natural inputs, in the order of the subjects.
        failures: The tasks that this run could not perform.
    """

    plan: Plan
    sets: tuple[SampleSet, ...]
    wanted: int | None
    trials: tuple[Trial, ...]
    suspicions: tuple[Suspicion, ...] = ()
    failures: tuple[Failure, ...] = ()

    @property
    def missing(self) -> int:
        """How many results are not there: of samples, harmless variants, spotting and trials."""
        made = {each.subject for each in self.sets}
        asked = {each.subject for each in self.sets if each.alarms or each.skipped}
        seen = {each.subject for each in self.suspicions}
        trials = 0 if self.wanted is None else max(0, self.wanted - len(self.trials))
        subjects = set(self.plan.subjects)
        spotted = set(self.plan.spotted_subjects)
        return len(subjects - made) + len(subjects - asked) + len(spotted - seen) + trials


PLAN_FILE = Path("plan.json")
"""The frozen plan, in a folder of results; what follows are paths in it as well."""

TAMPERED = Path("tampered")
"""The folder of changed copies of networks."""


def arrays_file(subject: Subject) -> Path:
    """The samples of a subject."""
    return Path("samples", f"{subject.stem}.safetensors")


def set_file(subject: Subject) -> Path:
    """What is known of the samples of a subject; there once the samples are."""
    return Path("samples", f"{subject.stem}.json")


def alarms_file(subject: Subject) -> Path:
    """The alarms of a subject's samples."""
    return Path("harmless", f"{subject.stem}.json")


def spotting_file(subject: Subject) -> Path:
    """How well a subject's samples can be told from natural inputs."""
    return Path("spotting", f"{subject.stem}.json")


def costs_file(subject: Subject) -> Path:
    """The seconds that the samples of a subject took."""
    return Path("costs", f"{subject.stem}.json")


def trial_file(subject: Subject, *, name: str, level: float | None, seed: int) -> Path:
    """One trial."""
    graded = "" if level is None else f"--{level!r}"
    return Path("trials", subject.stem, f"{name}{graded}--{seed}.json")


def read_results(folder: Path) -> Results:
    """Reads all that an evaluation has found so far; one that is not finished has less."""
    try:
        frozen = read_part(folder / PLAN_FILE, FrozenPlan)
    except BadFileError as error:
        if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            raise BadFileError(
                folder, f"expected a folder of results, got one without {PLAN_FILE}"
            ) from error
        raise
    return Results(
        plan=frozen.plan,
        sets=tuple(_with_alarms(each, folder) for each in _read_all(folder / "samples", SampleSet)),
        wanted=frozen.trials,
        trials=tuple(sorted(_read_all(folder / "trials", Trial), key=_order_trials)),
        suspicions=tuple(_read_all(folder / "spotting", Suspicion)),
    )


Part = TypeVar("Part", bound=Section)


def read_part(file: Path, kind: type[Part]) -> Part:
    """A file as a typed value."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BadFileError(file, f"cannot be read: {explain(error)}") from error
    return parse_json(kind, content, name=file)


def dump(part: Section) -> bytes:
    """A value as JSON: the same value always gives the same bytes."""
    document = part.model_dump(mode="json")
    return f"{json.dumps(document, sort_keys=True, allow_nan=False)}\n".encode()


def read_arrays(file: Path) -> dict[str, Array]:
    """The samples, scores and sources of a subject."""
    try:
        arrays = safetensors.numpy.load(file.read_bytes())
    except OSError as error:
        raise BadFileError(file, f"cannot be read: {explain(error)}") from error
    except (safetensors.SafetensorError, KeyError) as error:
        raise BadFileError(file, f"expected a safetensors file of samples: {error}") from error
    for name in ("samples", "scores", "sources"):
        if name not in arrays:
            raise BadFileError(file, "is missing", field=name)
    return arrays


def dump_arrays(arrays: Mapping[str, Array]) -> bytes:
    """What a file of samples holds."""
    solid = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return safetensors.numpy.save(solid)


_Told = TypeVar("_Told", SampleSet, Trial, Suspicion)


def _read_all(folder: Path, kind: type[_Told]) -> list[_Told]:
    files = [file for file in folder.rglob("*.json") if not file.name.startswith(".")]
    return sorted((read_part(file, kind) for file in files), key=lambda each: each.subject.order)


def _with_alarms(found: SampleSet, folder: Path) -> SampleSet:
    file = folder / alarms_file(found.subject)
    if not file.is_file():
        return found
    told = read_part(file, FalseAlarms)
    return found.model_copy(update={"alarms": told.alarms, "skipped": told.skipped})


def _order_trials(trial: Trial) -> tuple[tuple[str, str, str], str, float, int]:
    level = -inf if trial.level is None else trial.level
    return trial.subject.order, trial.name, level, trial.seed


SHOWN = 4
"""How many samples of a method are shown."""

_THEMSELVES = ("natural", "misclassified")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Exhibit:
    """One sample and its natural image, if that is known, as (height, width) or with a 3 behind."""

    sample: Array
    natural: Array | None


def list_exhibits(
    folder: Path, sets: Sequence[SampleSet]
) -> Mapping[tuple[str, str], Mapping[str, tuple[Exhibit, ...]]]:
    """The first few samples of each method, by network and spec, then by method."""
    shown: dict[tuple[str, str], dict[str, tuple[Exhibit, ...]]] = {}
    arrays = {each.subject: read_arrays(folder / arrays_file(each.subject)) for each in sets}
    for subject, found in arrays.items():
        if _is_picture(found["samples"]):
            place = shown.setdefault((subject.network, subject.spec), {})
            place[subject.method] = _choose(found, _list_naturals(subject.network, arrays))
    return shown


def _is_picture(samples: Array) -> bool:
    channels = samples.shape[1] if samples.ndim == 4 else 1
    return samples.dtype == np.uint8 and samples.ndim in {3, 4} and channels in {1, 3}


def _list_naturals(
    network: str, arrays: Mapping[Subject, Mapping[str, Array]]
) -> Mapping[int, Array]:
    return {
        int(source): sample
        for subject, found in arrays.items()
        if subject.network == network and subject.method in _THEMSELVES
        for source, sample in zip(found["sources"], found["samples"], strict=True)
    }


def _choose(found: Mapping[str, Array], naturals: Mapping[int, Array]) -> tuple[Exhibit, ...]:
    numbered = list(enumerate(map(int, found["sources"])))
    known = sorted(numbered, key=lambda pair: pair[1] not in naturals)
    return tuple(
        Exhibit(
            sample=_upright(found["samples"][row]),
            natural=_upright(naturals[source]) if source in naturals else None,
        )
        for row, source in known[:SHOWN]
    )


def _upright(image: Array) -> Array:
    if image.ndim == 2:
        return image
    return image[0] if len(image) == 1 else image.transpose(1, 2, 0)
