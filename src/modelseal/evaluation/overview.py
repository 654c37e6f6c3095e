"""One line for each method."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from modelseal.evaluation.statistics import Detection, Missed


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """How well the samples of one method do over the families of one.

    Args:
        method: Who made the samples.
        changes: How many rows count.
        mean: How often a single sample notices, averaged over the rows.
        worst: The same in the worst row.
        worst_change: That row.
        missed: Missed sets over all rows, by rule.
        sets: How many sets there were, by rule.
    """

    method: str
    changes: int
    mean: float
    worst: float
    worst_change: str
    missed: Mapping[str, int]
    sets: Mapping[str, int]


def oversee(
    method: str,
    detections: Sequence[Detection],
    missed: Sequence[Missed],
    *,
    changes: Collection[str] | None = None,
) -> Overview | None:
    """Sums up one method over some rows; None if it has none of them.

    Args:
        method: Who made the samples.
        detections: How often single samples notice.
        missed: How many sets miss.
        changes: The rows that count, such as the sixteen of a benchmark; by default all families
            of one.
    """
    rows = {
        each.change: each.share.value
        for each in detections
        if each.method == method
        and each.level is None
        and (changes is None or each.change in changes)
    }
    if not rows:
        return None
    worst = min(rows, key=lambda change: rows[change])
    sets = [each for each in missed if each.method == method and each.change in rows]
    rules = dict.fromkeys(each.rule for each in sets)
    return Overview(
        method=method,
        changes=len(rows),
        mean=sum(rows.values()) / len(rows),
        worst=rows[worst],
        worst_change=worst,
        missed={rule: sum(each.sets.part for each in sets if each.rule == rule) for rule in rules},
        sets={rule: sum(each.sets.whole for each in sets if each.rule == rule) for rule in rules},
    )
