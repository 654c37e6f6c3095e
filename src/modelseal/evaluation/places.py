"""Where each result of an evaluation is kept.

```
results/
├── plan.json                     the frozen plan, with digests of weights and data
├── samples/SUBJECT.safetensors   samples as they are stored, and the sealed network's scores
├── samples/SUBJECT.json          the set, without alarms
├── harmless/SUBJECT.json         alarms by harmless variant
├── trials/SUBJECT/CHANGE.json    one trial
├── spotting/SUBJECT.json         how well a provider tells the samples from natural inputs
├── costs/SUBJECT.json            seconds, which differ from run to run
└── tampered/                     changed copies of networks, which may be deleted
```
"""

from pathlib import Path

from modelseal.evaluation.trial import Subject


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
