"""The tables of what is detected and what is missed."""

from modelseal.evaluation.statistics import OURS
from modelseal.evaluation.summary import Summary
from modelseal.reports import wording
from modelseal.reports.table import Table, grid, once
from modelseal.reports.wording import NOTHING


def overview(summary: Summary) -> Table:
    """A line for each method."""
    images = {each.method: each for each in summary.equivalents if not each.change}
    alarms = {each.method: each for each in summary.alarms if not each.variant}
    rows = [
        (
            each.method,
            wording.percent(each.mean),
            f"{wording.percent(each.worst)} ({each.worst_change})",
            *(
                f"{each.missed[rule]:,} of {each.sets[rule]:,}" if rule in each.sets else NOTHING
                for rule in summary.rules
            ),
            wording.images(images[each.method].images, images[each.method].asked)
            if each.method in images
            else NOTHING,
            f"{alarms[each.method].alarms:,} of {alarms[each.method].answers:,}"
            if each.method in alarms
            else NOTHING,
        )
        for each in summary.overviews
    ]
    head = (
        "method",
        "a sample notices, mean",
        "worst row",
        *(f"missed by {summary.samples}, {rule}" for rule in summary.rules),
        "natural images that match one sample",
        "false alarms",
    )
    return Table(
        title="Overview",
        note="Over all changes without levels: how often a single sample notices, averaged over "
        "the rows; sets of which no sample noticed; how many natural images in a random set miss "
        "no more often than one sample; and other answers than expected in harmless variants.",
        head=head,
        rows=tuple(rows),
    )


def detection(summary: Summary) -> Table:
    """How often single samples notice each change without levels."""
    found = [each for each in summary.detections if each.level is None]
    cells = {(each.change, each.method): wording.percent(each.share.value) for each in found}
    changes = once(each.change for each in found)
    networks = {
        change: " / ".join(once(f"{each.trials:,}" for each in found if each.change == change))
        for change in changes
    }
    sizes = {each.method: each.samples for each in found}
    asked = ", ".join(f"{method} {size:,}" for method, size in sizes.items())
    rows = grid(cells, changes, summary.methods)
    return Table(
        title="Single samples",
        note="How often a single sample answers otherwise, of all samples in all changed "
        f"networks. Samples: {asked}.",
        head=("change", *summary.methods, "changed networks"),
        rows=tuple((*row, networks[row[0]]) for row in rows),
    )


def missed(summary: Summary) -> Table:
    """How many sets miss each change without levels: ours by every rule, others by the first."""
    columns = once(
        (each.method, each.rule)
        for each in summary.missed
        if each.method == OURS or each.rule == summary.rules[0]
    )
    cells = {
        (each.change, (each.method, each.rule)): wording.ratio(each.sets) for each in summary.missed
    }
    sizes = once(str(each.samples) for each in summary.missed)
    return Table(
        title=f"Missed by sets of {' or '.join(sizes) or summary.samples}",
        note="Sets of which no sample answers otherwise, of all pairs of a changed network and a "
        "bag of candidates from which a set was chosen.",
        head=("change", *(f"{method}, {rule}" for method, rule in columns)),
        rows=grid(cells, once(each.change for each in summary.missed), columns),
    )


def missing(summary: Summary) -> Table:
    """Missing rate against number of samples."""
    largest = max((len(each.points) for each in summary.curves), default=0)
    rows = [
        (
            each.method,
            each.rule,
            *(wording.small_percent(point.value) for point in each.points),
            *[NOTHING] * (largest - len(each.points)),
        )
        for each in summary.curves
    ]
    return Table(
        title="Missing rate against number of samples",
        note="Over all changes without levels; whole sets were asked, since the misses of single "
        "samples are correlated.",
        head=("method", "chosen by", *map(str, range(1, largest + 1))),
        rows=tuple(rows),
    )


def equivalents(summary: Summary) -> Table:
    """How many natural images it takes to match one sample, for each change."""
    methods = once(each.method for each in summary.equivalents)
    cells = {
        (each.change or "all", each.method): wording.images(each.images, each.asked)
        for each in summary.equivalents
    }
    return Table(
        title="Natural images that match one sample",
        note="How many natural images a random set needs to miss no more often than one sample.",
        head=("change", *methods),
        rows=grid(cells, once(row for row, _ in cells), methods),
    )


def comparison(summary: Summary) -> Table:
    """Ours beside the nearest other method, row by row."""
    rows = [
        (
            wording.row(each.change, each.level),
            wording.percent(each.ours),
            wording.percent(each.best),
            each.rival,
            f"{100 * each.lead:+.1f}",
        )
        for each in (*summary.comparisons, *summary.levels_lost)
    ]
    return Table(
        title="Against the nearest other method",
        note="Single samples on the levels of the domain. A graded family is one row over all of "
        "its levels; single levels follow where another method is ahead.",
        head=("change", OURS, "nearest other", "which", "lead in points"),
        rows=tuple(rows),
    )


def not_applied(summary: Summary) -> Table:
    """Recipes that did not reach their goal."""
    rows = [
        (wording.row(each.change, each.level), f"{each.trials:,}", "; ".join(each.reasons))
        for each in summary.not_applied
    ]
    return Table(
        title="Not applied",
        note="Recipes that did not reach their own goal on this network. They count neither as "
        "detected nor as missed.",
        head=("change", "networks", "why"),
        rows=tuple(rows),
    )
