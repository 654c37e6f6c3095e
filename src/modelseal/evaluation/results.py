"""What an evaluation leaves behind: sets of samples, and what each changed network did to them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from modelseal.evaluation.roc import Separation

Picks: TypeAlias = tuple[tuple[int, ...], ...]
"""For each bag of candidates the numbers of the chosen samples, in the order of choice."""


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Subject:
    """What is on trial: one method's samples for one network behind one kind of endpoint.

    Args:
        network: The network's name in the plan.
        method: The method's name, such as `boundary`, or `ibsf:float` for samples off the levels.
        spec: What the endpoint shows, such as `top1`.
    """

    network: str
    method: str
    spec: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleSet:
    """The samples of one subject.

    Args:
        subject: Whose they are.
        psnr: Of each sample against its natural input, in dB; infinite for the input itself.
        margins: How far each sample's scores are from another shown answer.
        moves: How far harmless variants moved them towards one, at the most.
        picks: By rule (`manc`, `detection`, `random`), the chosen of each bag. Bags may overlap.
        alarms: By harmless variant, how many samples answered otherwise than the sealed network;
            each variant was asked every sample once.
        work: What one sample cost, in forward passes of one input; a backward pass counts two.
        skipped: By harmless variant that could not be run, why.
    """

    subject: Subject
    psnr: tuple[float, ...]
    margins: tuple[float, ...]
    moves: tuple[float, ...]
    picks: Mapping[str, Picks]
    alarms: Mapping[str, int]
    work: float
    skipped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """What one changed network did to the samples of one subject.

    Args:
        subject: Whose samples were asked.
        tampering: The recipe's `repr`.
        name: The row that it belongs to, such as `ftal` or `noise`.
        level: Where it stands in a graded family; None for a family of one.
        seed: Of the recipe.
        reason: Why the recipe was not applied: it did not reach its own goal on this network.
            Empty if it was.
        changed: Whether each sample was answered otherwise; empty if the recipe was not applied.
        effect: The largest change of any score of natural and noise inputs; 0 means that the
            function is the same to the bit wherever it was looked at, infinite that a score is
            not finite any more. 0 if the recipe was not applied.
    """

    subject: Subject
    tampering: str
    name: str
    level: float | None
    seed: int
    reason: str
    changed: tuple[bool, ...]
    effect: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspicion:
    """How well a provider tells the samples of one subject from other natural inputs.

    Args:
        subject: Whose samples.
        separations: How well each detector does.
        detector: The best of those that need no more than inputs of both kinds to learn from.
        tried: The numbers of the samples that it was tried on. It learned from none of them.
        scores: What it gives each of these: the higher the more suspicious.
        reason: Why no detector was tried; empty if they were.
    """

    subject: Subject
    separations: tuple[Separation, ...]
    detector: str
    tried: tuple[int, ...]
    scores: tuple[float, ...]
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A task that could not be performed.

    Args:
        task: What it was.
        problem: Why it failed, in one sentence.
    """

    task: str
    problem: str


def plan_file(folder: Path) -> Path:
    """The frozen plan."""
    return folder / "plan.json"


def arrays_file(folder: Path, subject: Subject) -> Path:
    """The samples of a subject."""
    return folder / "samples" / f"{subject_name(subject)}.safetensors"


def set_file(folder: Path, subject: Subject) -> Path:
    """What is known of the samples of a subject; there once the samples are."""
    return folder / "samples" / f"{subject_name(subject)}.json"


def alarms_file(folder: Path, subject: Subject) -> Path:
    """The alarms of a subject's samples."""
    return folder / "harmless" / f"{subject_name(subject)}.json"


def spotting_file(folder: Path, subject: Subject) -> Path:
    """How well a subject's samples can be told from natural inputs."""
    return folder / "spotting" / f"{subject_name(subject)}.json"


def costs_file(folder: Path, subject: Subject) -> Path:
    """The seconds that the samples of a subject took."""
    return folder / "costs" / f"{subject_name(subject)}.json"


def trial_file(
    folder: Path, subject: Subject, *, name: str, level: float | None, seed: int
) -> Path:
    """One trial."""
    graded = "" if level is None else f"--{level!r}"
    return folder / "trials" / subject_name(subject) / f"{name}{graded}--{seed}.json"


def tampered_folder(folder: Path) -> Path:
    """Changed copies of networks."""
    return folder / "tampered"


def subject_name(subject: Subject) -> str:
    """The name of a subject's files, which every file system can hold.

    Examples:
        >>> subject_name(Subject(network="resnet20", method="ibsf:float", spec="topk:5"))
        'resnet20--ibsf.float--topk.5'
    """
    return f"{subject.network}--{subject.method}--{subject.spec}".replace(":", ".")
