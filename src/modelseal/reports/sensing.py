"""The tables of how small a change may be, and of what the samples are."""

import re

from modelseal.evaluation.curves import BIT, BIT_GROUPS
from modelseal.evaluation.summary import Summary
from modelseal.reports import wording
from modelseal.reports.table import Table, grid, once
from modelseal.reports.wording import NOTHING


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
                        else wording.level(each.smallest)
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
        f"sets of {summary.samples} notice.",
        head=("method", "chosen by", *columns),
        rows=tuple(rows),
    )


def bits(summary: Summary) -> Table:
    """How often flipped bits are noticed, in groups of bits."""
    rows = []
    for method, rule in once((each.method, each.rule) for each in summary.bits):
        groups = {
            each.name: each for each in summary.bits if (each.method, each.rule) == (method, rule)
        }
        shares = (
            share for name in BIT_GROUPS for share in (groups[name].sets, groups[name].effective)
        )
        told = (
            NOTHING if share is None else f"{wording.percent(share.value)} of {share.whole:,}"
            for share in shares
        )
        rows.append((method, rule, *told))
    columns = (part for name in BIT_GROUPS for part in (name, f"{name}, if any score changes"))
    return Table(
        title="One flipped bit of one random weight",
        note=f"How often sets of {summary.samples} notice, of all flips and bags, and without "
        "flips that changed no score of any input looked at, such as those of dead weights.",
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
    variants = sorted({each.variant for each in summary.alarms if each.variant}, key=natural_order)
    rows = grid(cells, (*variants, "all"), methods)
    bounds = ("at most", *(wording.bound(totals[method].bound) for method in methods))
    return Table(
        title="False alarms",
        note="Other answers than the sealed network's where it was only run in another way. The "
        f"last line is a one-sided 95 % upper bound.{tell_skipped(summary)}",
        head=("variant", *methods),
        rows=(*rows, bounds) if methods else (),
    )


def natural_order(name: str) -> list[tuple[bool, int, str]]:
    """What names are sorted by so that numbers in them stand in their own order.

    Examples:
        >>> sorted(["a-10", "a-9", "b"], key=natural_order)
        ['a-9', 'a-10', 'b']
    """
    parts = re.split(r"(\d+)", name)
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]


def tell_skipped(summary: Summary) -> str:
    """The harmless variants that could not be run, ready to follow a sentence."""
    reasons = "; ".join(f"{variant} ({reason})" for variant, reason in summary.skipped)
    return f" Not run: {reasons}." if reasons else ""


def samples(summary: Summary) -> Table:
    """What the samples are and what they cost."""
    rows = [
        (
            each.method,
            f"{each.samples:,}",
            *map(wording.number, (each.psnr.low, each.psnr.median, each.psnr.high)),
            wording.number(each.work),
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
