"""The tables of a report by name, in the order of being told."""

from collections.abc import Callable, Mapping

from modelseal.evaluation.summary import Summary
from modelseal.reports import detecting, providing, sensing
from modelseal.reports.table import Table

TABLES: Mapping[str, Callable[[Summary], Table]] = {
    "overview": detecting.overview,
    "detection": detecting.detection,
    "missed": detecting.missed,
    "missing": detecting.missing,
    "equivalents": detecting.equivalents,
    "smallest": sensing.smallest,
    "bits": sensing.bits,
    "alarms": sensing.alarms,
    "samples": sensing.samples,
    "spotting": providing.sightings,
    "sharing": providing.sharings,
    "routing": providing.routings,
    "comparison": detecting.comparison,
    "not-applied": detecting.not_applied,
}
"""What makes each table of a summary; one without rows has nothing to tell."""


def list_tables(summary: Summary) -> tuple[Table, ...]:
    """Every table that has something to tell."""
    made = (make(summary) for make in TABLES.values())
    return tuple(table for table in made if table.rows)
