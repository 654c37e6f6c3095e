"""Runs the sealed network in every harmless way anew, and counts alarms."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modelseal.errors import ModelsealError
from modelseal.evaluation.inputs import NetworkFiles, every_variant, open_network, view
from modelseal.evaluation.results import Subject, arrays_file
from modelseal.evaluation.store import read_arrays
from modelseal.evaluation.trials import changed_answers
from modelseal.outputs.specs import parse_spec
from modelseal.sealing.candidates import to_tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class HarmlessTask:
    """The samples of one subject, to be asked in every harmless way.

    Args:
        subject: Whose samples.
        files: Its network.
        folder: Where results are.
        variants: The names of the harmless variants; None is all.
    """

    subject: Subject
    files: NetworkFiles
    folder: Path
    variants: tuple[str, ...] | None

    def __str__(self) -> str:
        one = self.subject
        return f"harmless variants of {one.method} for {one.network}, {one.spec}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rehosted:
    """What harmless variants did to the samples of one subject.

    Args:
        alarms: By variant, how many samples are answered otherwise than by the sealed network.
        skipped: By variant that cannot be run here, why.
    """

    alarms: Mapping[str, int]
    skipped: Mapping[str, str]


def count_alarms(task: HarmlessTask) -> Rehosted:
    """How many samples are answered otherwise in each harmless way that can be run here.

    Raises:
        ModelsealError: The samples cannot be read.
    """
    opened = open_network(task.files)
    model, _ = view(opened, task.subject.method)
    arrays = read_arrays(arrays_file(task.folder, task.subject))
    samples, spec = to_tensor(model, arrays["samples"]), parse_spec(task.subject.spec)
    alarms: dict[str, int] = {}
    skipped: dict[str, str] = {}
    for variant in every_variant(model, task.variants):
        try:
            shown = variant(model.network, samples)
        except ModelsealError as error:
            skipped[variant.name] = str(error)
            continue
        alarms[variant.name] = int(changed_answers(spec, arrays["scores"], shown).sum())
    return Rehosted(alarms=alarms, skipped=skipped)
