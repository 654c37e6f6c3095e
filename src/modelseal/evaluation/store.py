"""What the files of an evaluation hold, with every value of the right type."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf, isinf
from pathlib import Path
from typing import TypeVar

import numpy as np
import safetensors
import safetensors.numpy

from modelseal.errors import BadFileError
from modelseal.evaluation.manifest import FrozenPlan
from modelseal.evaluation.plan import Plan, list_subjects, spotted_subjects
from modelseal.evaluation.results import (
    Failure,
    SampleSet,
    Subject,
    Suspicion,
    Trial,
    alarms_file,
    plan_file,
)
from modelseal.evaluation.roc import Separation
from modelseal.files import explain
from modelseal.fingerprint.codec import weights_digest
from modelseal.settings import Section, parse_json
from modelseal.types import Array


class SubjectPart(Section):
    """A subject in a file."""

    network: str
    method: str
    spec: str

    def revive(self) -> Subject:
        """The value."""
        return Subject(network=self.network, method=self.method, spec=self.spec)


class SetFile(Section):
    """What is known of a subject's samples but for alarms; `digest` is that of their file."""

    subject: SubjectPart
    psnr: tuple[float | None, ...]
    margins: tuple[float | None, ...]
    moves: tuple[float | None, ...]
    picks: dict[str, tuple[tuple[int, ...], ...]]
    work: float
    digest: str


class AlarmsFile(Section):
    """The alarms of a subject's samples."""

    subject: SubjectPart
    alarms: dict[str, int]
    skipped: dict[str, str]


class SpottingFile(Section):
    """How well a subject's samples are told from natural inputs."""

    subject: SubjectPart
    separations: tuple[Separation, ...]
    detector: str
    tried: tuple[int, ...]
    scores: tuple[float, ...]
    reason: str


class TrialFile(Section):
    """One trial."""

    subject: SubjectPart
    tampering: str
    name: str
    level: float | None
    seed: int
    reason: str
    changed: tuple[bool, ...]
    effect: float | None


Part = TypeVar("Part", bound=Section)


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
        subjects = set(list_subjects(self.plan))
        return (
            len(subjects - made)
            + len(subjects - asked)
            + len(set(spotted_subjects(self.plan)) - seen)
            + trials
        )


def read_results(folder: Path) -> Results:
    """Reads all that an evaluation has found so far; one that is not finished has less.

    Raises:
        BadFileError: The folder holds no results, or a file in it is wrong; `field` says where.
    """
    try:
        frozen = read_part(plan_file(folder), FrozenPlan)
    except BadFileError as error:
        if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            raise BadFileError(
                folder, f"a folder of results was wanted, but it holds no {plan_file(folder).name}"
            ) from error
        raise
    sets = [read_set(folder, file) for file in list_files(folder / "samples")]
    trials = [read_trial(file) for file in list_files(folder / "trials")]
    suspicions = [read_suspicion(file) for file in list_files(folder / "spotting")]
    return Results(
        plan=frozen.plan,
        sets=tuple(sorted(sets, key=lambda each: each.subject)),
        wanted=frozen.trials,
        trials=tuple(sorted(trials, key=order)),
        suspicions=tuple(sorted(suspicions, key=lambda each: each.subject)),
    )


def order(trial: Trial) -> tuple[Subject, str, float, int]:
    """What trials are sorted by."""
    level = -inf if trial.level is None else trial.level
    return trial.subject, trial.name, level, trial.seed


def list_files(folder: Path) -> list[Path]:
    """The JSON files in a folder and the folders in it."""
    found = folder.rglob("*.json")
    return sorted(file for file in found if not file.name.startswith("."))


def read_set(folder: Path, file: Path) -> SampleSet:
    """A set of samples with its alarms; without any if those were not counted yet.

    Raises:
        BadFileError: A file is wrong.
    """
    part = read_part(file, SetFile)
    subject = part.subject.revive()
    counted = alarms_file(folder, subject)
    part_alarms = read_part(counted, AlarmsFile) if counted.is_file() else None
    found = SampleSet(
        subject=subject,
        psnr=revive(part.psnr),
        margins=revive(part.margins),
        moves=revive(part.moves),
        picks=part.picks,
        alarms=part_alarms.alarms if part_alarms else {},
        skipped=part_alarms.skipped if part_alarms else {},
        work=part.work,
    )
    check_set(found, file)
    return found


def check_set(found: SampleSet, file: Path) -> None:
    """Makes sure that the parts of a set fit one another.

    Raises:
        BadFileError: They do not.
    """
    count = len(found.psnr)
    for name in ("margins", "moves"):
        if len(getattr(found, name)) != count:
            raise BadFileError(
                file, f"needs {count} numbers, but has {len(getattr(found, name))}", field=name
            )
    for rule, bags in found.picks.items():
        for number, bag in enumerate(bags):
            if not all(0 <= pick < count for pick in bag) or len(set(bag)) < len(bag):
                raise BadFileError(
                    file,
                    f"needs different numbers below {count}, but has {list(bag)}",
                    field=f"picks.{rule}[{number}]",
                )


def read_trial(file: Path) -> Trial:
    """One trial.

    Raises:
        BadFileError: The file is wrong.
    """
    part = read_part(file, TrialFile)
    if bool(part.reason) == bool(part.changed):
        raise BadFileError(file, "needs either a reason or answers", field="reason")
    return Trial(
        subject=part.subject.revive(),
        tampering=part.tampering,
        name=part.name,
        level=part.level,
        seed=part.seed,
        reason=part.reason,
        changed=part.changed,
        effect=inf if part.effect is None else part.effect,
    )


def read_suspicion(file: Path) -> Suspicion:
    """How well the samples of one subject are told from natural inputs.

    Raises:
        BadFileError: The file is wrong.
    """
    part = read_part(file, SpottingFile)
    check_suspicion(part, file)
    return Suspicion(
        subject=part.subject.revive(),
        separations=part.separations,
        detector=part.detector,
        tried=part.tried,
        scores=part.scores,
        reason=part.reason,
    )


def check_suspicion(part: SpottingFile, file: Path) -> None:
    """Makes sure that the parts of what detectors found fit one another.

    Raises:
        BadFileError: They do not.
    """
    if len(part.scores) != len(part.tried):
        raise BadFileError(
            file, f"needs {len(part.tried)} numbers, but has {len(part.scores)}", field="scores"
        )
    if len(set(part.tried)) < len(part.tried) or min(part.tried, default=0) < 0:
        raise BadFileError(
            file, f"needs different numbers from 0, but has {list(part.tried)}", field="tried"
        )
    known = [each.detector for each in part.separations]
    if not part.reason and part.detector not in known:
        names = ", ".join(known) or "a detector"
        raise BadFileError(
            file, f"needs one of {names}, but is {part.detector!r}", field="detector"
        )


def read_part(file: Path, kind: type[Part]) -> Part:
    """A file as a typed value.

    Raises:
        BadFileError: It cannot be read, or is something else; `field` says where.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BadFileError(file, f"cannot be read: {explain(error)}") from error
    return parse_json(kind, content, name=file)


def read_arrays(file: Path) -> dict[str, Array]:
    """The samples, scores and sources of a subject.

    Raises:
        BadFileError: The file cannot be read, or lacks one of them.
    """
    try:
        arrays = safetensors.numpy.load(file.read_bytes())
    except OSError as error:
        raise BadFileError(file, f"cannot be read: {explain(error)}") from error
    except (safetensors.SafetensorError, KeyError) as error:
        raise BadFileError(file, f"is no safetensors file of samples: {error}") from error
    for name in ("samples", "scores", "sources"):
        if name not in arrays:
            raise BadFileError(file, "is missing", field=name)
    return arrays


def dump_arrays(arrays: Mapping[str, Array]) -> bytes:
    """What a file of samples holds."""
    solid = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return safetensors.numpy.save(solid)


def dump_set(found: SampleSet, arrays: Mapping[str, Array]) -> bytes:
    """What a set's file holds."""
    document = asdict(found)
    del document["alarms"], document["skipped"]
    for name in ("psnr", "margins", "moves"):
        document[name] = plain(document[name])
    return dump({**document, "digest": weights_digest(arrays)})


def dump_alarms(subject: Subject, alarms: Mapping[str, int], skipped: Mapping[str, str]) -> bytes:
    """What a file of alarms holds."""
    return dump({"subject": asdict(subject), "alarms": dict(alarms), "skipped": dict(skipped)})


def dump_suspicion(found: Suspicion) -> bytes:
    """What a file of spotting holds."""
    return dump(asdict(found))


def dump_trial(trial: Trial) -> bytes:
    """What a trial's file holds."""
    return dump({**asdict(trial), "effect": plain([trial.effect])[0]})


def dump(document: Mapping[str, object]) -> bytes:
    """A document as JSON: the same document gives the same bytes."""
    return f"{json.dumps(document, sort_keys=True, allow_nan=False)}\n".encode()


def plain(values: Sequence[float]) -> list[float | None]:
    """Numbers as JSON has them."""
    return [None if isinf(value) else value for value in values]


def revive(values: Sequence[float | None]) -> tuple[float, ...]:
    """Numbers as they were."""
    return tuple(inf if value is None else value for value in values)
