"""What the files of an evaluation hold, with every value of the right type."""

from modelseal.evaluation.separation import Separation
from modelseal.evaluation.trial import Subject
from modelseal.validating import Section


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
