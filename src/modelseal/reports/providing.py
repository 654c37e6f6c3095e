"""The tables of what a provider gains that wants to hide a change."""

from modelseal.evaluation.summary import Summary
from modelseal.reports import wording
from modelseal.reports.table import Table, grid, once

SHARES = (0.0, 0.25, 0.5, 0.75, 0.9)
"""The shares of queries of which the table of sharing tells."""


def sightings(summary: Summary) -> Table:
    """How well each detector tells samples from natural inputs."""
    found = {(each.separation.detector, each.method): each.separation for each in summary.sightings}
    cells = {
        key: "; ".join(
            (
                f"{each.auc:.2f} ({each.low:.2f} to {each.high:.2f})",
                *(
                    f"{wording.percent(rate.found.value)} at {wording.percent(rate.false_rate)}"
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


def sharings(summary: Summary) -> Table:
    """What is left of the power if some of all queries are answered from a clean copy."""
    rows = []
    for each in summary.sharings:
        powers = dict(each.powers)
        left = (wording.percent(powers[share]) for share in SHARES)
        last = wording.percent(each.breaking) if each.breaking else "none"
        rows.append((each.method, f"{each.samples}", *left, last))
    return Table(
        title="A provider that answers a share of all queries from a clean copy",
        note="How often sets of so many samples, drawn at random, notice a change, over all "
        "changes without levels; last, the largest share at which 95 % still do, or none if "
        "fewer do even without any.",
        head=("method", "samples", *map(wording.percent, SHARES), "breaking share"),
        rows=tuple(rows),
    )


def routings(summary: Summary) -> Table:
    """What is left of the power if suspicious queries are answered from a clean copy."""
    rates = once(each.false_rate for each in summary.routings)
    keys = once((each.method, each.detector, each.samples) for each in summary.routings)
    rows = []
    for key in keys:
        own = {
            each.false_rate: each
            for each in summary.routings
            if (each.method, each.detector, each.samples) == key
        }
        left = (wording.percent(own[rate].power) for rate in rates)
        method, detector, samples = key
        unspotted = wording.percent(own[rates[0]].unspotted)
        rows.append((method, detector, f"{samples}", unspotted, *left))
    return Table(
        title="A provider that answers what it suspects from a clean copy",
        note="How often sets of so many samples, drawn at random of those that the best detector "
        "did not learn from, notice a change: if nothing is suspected, and if so many natural "
        "inputs are taken for samples.",
        head=("method", "detector", "samples", "none", *map(wording.percent, rates)),
        rows=tuple(rows),
    )
