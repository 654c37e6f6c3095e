"""The tables of what is detected and what is missed."""

import re
from collections.abc import Callable, Mapping

from modelseal import tabular
from modelseal.evaluation.curves import BIT_GROUPS
from modelseal.evaluation.metrics import OURS, Summary
from modelseal.tabular import BIT, NOTHING, Table, grid, once


def overview(summary: Summary) -> Table:
    """A line for each method."""
    images = {each.method: each for each in summary.equivalents if not each.change}
    alarms = {each.method: each for each in summary.alarms if not each.variant}
    rows = [
        (
            each.method,
            tabular.percent(each.mean),
            f"{tabular.percent(each.worst)} ({each.worst_change})",
            *(
                f"{each.missed[rule]:,} of {each.sets[rule]:,}" if rule in each.sets else NOTHING
                for rule in summary.rules
            ),
            tabular.images(images[each.method].images, images[each.method].asked)
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
        "one sample detects, mean",
        "worst row",
        *(f"missed by {summary.samples}, {rule}" for rule in summary.rules),
        "natural images that match one sample",
        "false alarms",
    )
    return Table(
        title="Overview",
        note="Over all changes without levels: how often a single sample detects the change, "
        "averaged over the rows; sets in which no sample detected it; how many natural images in "
        "a random set miss no more often than one sample; and other answers than expected in "
        "harmless variants.",
        head=head,
        rows=tuple(rows),
    )


def detection(summary: Summary) -> Table:
    """How often single samples detect each change without levels."""
    found = [each for each in summary.detections if each.level is None]
    cells = {(each.change, each.method): tabular.percent(each.share.value) for each in found}
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
        (each.change, (each.method, each.rule)): tabular.ratio(each.sets) for each in summary.missed
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
            *(tabular.small_percent(point.value) for point in each.points),
            *[NOTHING] * (largest - len(each.points)),
        )
        for each in summary.curves
    ]
    return Table(
        title="Missing rate against number of samples",
        note="Over all changes without levels; whole sets were evaluated, since the misses of "
        "single samples are correlated.",
        head=("method", "chosen by", *map(str, range(1, largest + 1))),
        rows=tuple(rows),
    )


def equivalents(summary: Summary) -> Table:
    """How many natural images it takes to match one sample, for each change."""
    methods = once(each.method for each in summary.equivalents)
    cells = {
        (each.change or "all", each.method): tabular.images(each.images, each.asked)
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
            tabular.row(each.change, each.level),
            tabular.percent(each.ours),
            tabular.percent(each.best),
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
        (tabular.row(each.change, each.level), f"{each.trials:,}", "; ".join(each.reasons))
        for each in summary.not_applied
    ]
    return Table(
        title="Not applied",
        note="Recipes that did not reach their own goal on this network. They count neither as "
        "detected nor as missed.",
        head=("change", "networks", "why"),
        rows=tuple(rows),
    )


def smallest(summary: Summary) -> Table:
    """The smallest change that is detected with 95 % power, for each graded family."""
    curves = [each for each in summary.graded if each.family != BIT]
    columns = once(each.family for each in curves)
    rows = [
        (
            method,
            rule,
            *(
                next(
                    (
                        "not even the largest"
                        if each.smallest is None
                        else tabular.level(each.smallest)
                        for each in curves
                        if (each.method, each.rule, each.family) == (method, rule, family)
                    ),
                    NOTHING,
                )
                for family in columns
            ),
        )
        for method, rule in once((each.method, each.rule) for each in curves)
    ]
    return Table(
        title="Smallest change detected with 95 % power",
        note=f"The smallest level such that at it and at every larger one at least 95 % of the "
        f"sets of {summary.samples} detect the change.",
        head=("method", "chosen by", *columns),
        rows=tuple(rows),
    )


def bits(summary: Summary) -> Table:
    """How often flipped bits are detected, in groups of bits."""
    rows = []
    for method, rule in once((each.method, each.rule) for each in summary.bits):
        groups = {
            each.name: each for each in summary.bits if (each.method, each.rule) == (method, rule)
        }
        shares = (
            share for name in BIT_GROUPS for share in (groups[name].sets, groups[name].effective)
        )
        told = (
            NOTHING if share is None else f"{tabular.percent(share.value)} of {share.whole:,}"
            for share in shares
        )
        rows.append((method, rule, *told))
    columns = (part for name in BIT_GROUPS for part in (name, f"{name}, if any score changes"))
    return Table(
        title="One flipped bit of one random weight",
        note=f"How often sets of {summary.samples} detect the flip, of all flips and bags, and "
        "without flips that changed no score of any input examined, such as those of dead "
        "weights.",
        head=("method", "chosen by", *columns),
        rows=tuple(rows),
    )


def alarms(summary: Summary) -> Table:
    """False alarms in harmless variants."""
    cells = {
        (each.variant or "all", each.method): f"{each.alarms:,} of {each.answers:,}"
        for each in summary.alarms
    }
    totals = {each.method: each for each in summary.alarms if not each.variant}
    methods = tuple(totals)
    variants = sorted({each.variant for each in summary.alarms if each.variant}, key=_natural_order)
    rows = grid(cells, (*variants, "all"), methods)
    bounds = ("at most", *(tabular.bound(totals[method].bound) for method in methods))
    return Table(
        title="False alarms",
        note="Other answers than the sealed network's where it was only run in another way. The "
        f"last line is a one-sided 95 % upper bound.{_tell_skipped(summary)}",
        head=("variant", *methods),
        rows=(*rows, bounds) if methods else (),
    )


def _natural_order(name: str) -> list[tuple[bool, int, str]]:
    """What names are sorted by so that numbers in them stand in their own order."""
    parts = re.split(r"(\d+)", name)
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]


def _tell_skipped(summary: Summary) -> str:
    reasons = "; ".join(f"{variant} ({reason})" for variant, reason in summary.skipped)
    return f" Not run: {reasons}." if reasons else ""


def samples(summary: Summary) -> Table:
    """What the samples are and what they cost."""
    rows = [
        (
            each.method,
            f"{each.samples:,}",
            *map(tabular.number, (each.psnr.low, each.psnr.median, each.psnr.high)),
            tabular.number(each.work),
        )
        for each in summary.qualities
    ]
    return Table(
        title="Samples and their cost",
        note="PSNR is against the natural input, in dB; infinite for the input itself. Work is "
        "what one sample cost in forward passes of one input; a backward pass counts two.",
        head=("method", "samples", "PSNR, quarter", "PSNR, median", "PSNR, three quarters", "work"),
        rows=tuple(rows),
    )


SHARES = (0.0, 0.25, 0.5, 0.75, 0.9)
"""The shares of queries of which the table of sharing tells."""


def _sightings(summary: Summary) -> Table:
    found = {(each.separation.detector, each.method): each.separation for each in summary.sightings}
    cells = {
        key: "; ".join(
            (
                f"{each.auc:.2f} ({each.low:.2f} to {each.high:.2f})",
                *(
                    f"{tabular.percent(rate.found.value)} at {tabular.percent(rate.false_rate)}"
                    for rate in each.rates
                ),
            )
        )
        for key, each in found.items()
    }
    methods = once(each.method for each in summary.sightings)
    tried = {each.method: each.separation.samples for each in summary.sightings}
    reasons = "; ".join(f"{method} ({reason})" for method, reason in summary.unspotted)
    return Table(
        title="Telling samples from natural inputs",
        note="The area under the ROC curve with its 95 % interval, 0.5 being chance, and how many "
        "samples are found where so many natural inputs are taken for samples."
        f"{f' Not tried: {reasons}.' if reasons else ''}",
        head=("detector", *(f"{method} ({tried[method]:,} tried)" for method in methods)),
        rows=grid(cells, once(detector for detector, _ in found), methods),
    )


def _sharings(summary: Summary) -> Table:
    rows = []
    for each in summary.sharings:
        powers = dict(each.powers)
        left = (tabular.percent(powers[share]) for share in SHARES)
        last = tabular.percent(each.breaking) if each.breaking else "none"
        rows.append((each.method, f"{each.samples}", *left, last))
    return Table(
        title="A provider that answers a share of all queries from a clean copy",
        note="How often sets of so many samples, drawn at random, detect a change, over all "
        "changes without levels; last, the largest share at which 95 % still do, or none if "
        "fewer do even without any.",
        head=("method", "samples", *map(tabular.percent, SHARES), "breaking share"),
        rows=tuple(rows),
    )


def _routings(summary: Summary) -> Table:
    rates = once(each.false_rate for each in summary.routings)
    keys = once((each.method, each.detector, each.samples) for each in summary.routings)
    rows = []
    for key in keys:
        own = {
            each.false_rate: each
            for each in summary.routings
            if (each.method, each.detector, each.samples) == key
        }
        left = (tabular.percent(own[rate].power) for rate in rates)
        method, detector, samples = key
        unspotted = tabular.percent(own[rates[0]].unspotted)
        rows.append((method, detector, f"{samples}", unspotted, *left))
    return Table(
        title="A provider that answers what it suspects from a clean copy",
        note="How often sets of so many samples, drawn at random of those that the best detector "
        "did not learn from, detect a change: if nothing is suspected, and if so many natural "
        "inputs are taken for samples.",
        head=("method", "detector", "samples", "none", *map(tabular.percent, rates)),
        rows=tuple(rows),
    )


TABLES: Mapping[str, Callable[[Summary], Table]] = {
    "overview": overview,
    "detection": detection,
    "missed": missed,
    "missing": missing,
    "equivalents": equivalents,
    "smallest": smallest,
    "bits": bits,
    "alarms": alarms,
    "samples": samples,
    "spotting": _sightings,
    "sharing": _sharings,
    "routing": _routings,
    "comparison": comparison,
    "not-applied": not_applied,
}
"""What makes each table of a summary; one without rows has nothing to tell."""


def list_tables(summary: Summary) -> tuple[Table, ...]:
    """Every table that has something to tell."""
    made = (make(summary) for make in TABLES.values())
    return tuple(table for table in made if table.rows)
