"""Seals a small network, serves it and four changed copies, and verifies each.

Run `make demo`. Everything is written into build/demo.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from changes import DRAWS, backdoor, list_changes
from deployment import deploy
from picture import draw
from program import Row, ask, modelseal, show
from rich.console import Console
from rich.table import Table
from scans import Scans, read_scans
from server import serve
from torch import nn
from training import accuracy, learn

import modelseal as ms

NATURALS = 256
"""How many natural images the samples are made of."""

SEALED = "sealed model"
COLOURS = {"intact": "green", "tampered": "red", "undecided": "yellow"}


def main() -> int:
    """Runs the whole demo; 0 if the sealed network was intact and every change was noticed."""
    options = read_options()
    console = Console(highlight=False)
    started = time.monotonic()
    torch.set_num_threads(1)
    train, test = read_scans()
    network = prepare(options.folder, train, test, console)
    seal = options.folder / "digits.seal"
    images = options.folder / "images.npz"
    if modelseal("seal", options.folder / "model.toml", images, "-o", seal, console=console):
        return 1
    changes = list_changes(network, train, test)
    for name, change in changes.items():
        show(f"A changed copy: {name}, by {change!r}", console)
    copies = {SEALED: network, **{name: change(network) for name, change in changes.items()}}
    rows = [verify(name, copy, seal, test=test, console=console) for name, copy in copies.items()]
    console.print(tabulate(rows))
    explain(copies, rows, backdoor(train), test, console)
    picture = options.folder / "demo.png"
    draw(ms.load(seal), test.codes[:NATURALS], rows, picture)
    if options.picture:
        shutil.copyfile(picture, options.picture)
    show(f"Picture: {picture}. It took {time.monotonic() - started:.0f} seconds.", console)
    return 0 if as_claimed(rows) else 1


def read_options() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/demo"), help="of the results")
    parser.add_argument("--picture", type=Path, help="a file for a copy of the picture")
    return parser.parse_args()


def prepare(folder: Path, train: Scans, test: Scans, console: Console) -> nn.Module:
    """Trains the network and writes what its owner has: model.toml, weights and images."""
    network = learn(train)
    model = deploy(network, folder)
    np.savez_compressed(folder / "images.npz", images=test.codes[:NATURALS])
    show(
        f"Trained {model} on {len(train.codes)} scans of digits: "
        f"reads {accuracy(network, test):.1%} of {len(test.codes)} other scans right.",
        console,
    )
    return network


def verify(name: str, network: nn.Module, seal: Path, *, test: Scans, console: Console) -> Row:
    """Serves a network by a real server in its own process, and verifies it there."""
    show(f"\nServing: {name}", console)
    with tempfile.TemporaryDirectory(prefix="modelseal-demo-") as folder:
        model = deploy(network, Path(folder))
        with serve(model, folder=Path(folder) / "server", name="digits") as url:
            right = accuracy(network, test)
            return ask(seal, url, name=name, accuracy=right, console=console)


def tabulate(rows: list[Row]) -> Table:
    """One line for each served network."""
    columns = "served model", "accuracy", "verdict", "noticed by", "exit", "seconds"
    table = Table(*columns, title="Verified over HTTP by the top label alone")
    for row in rows:
        verdict = f"[{COLOURS[row.outcome]}]{row.outcome}[/]"
        noticed = f"{len(row.noticed)} of {row.verdict['samples']} samples"
        facts = f"{row.accuracy:.1%}", verdict, noticed, str(row.exit_code), f"{row.seconds:.1f}"
        table.add_row(row.name, *facts)
    return table


def explain(
    copies: Mapping[str, nn.Module],
    rows: list[Row],
    patch: ms.tampering.BadNetsPatch,
    test: Scans,
    console: Console,
) -> None:
    """Says what the backdoor does, and which change went unnoticed if one did."""
    rates = [
        patch.success_rate(network, test.inputs, test.labels)
        for network in (copies[SEALED], copies["backdoor patch"])
    ]
    show(
        f"With the patch, digits other than {patch.target} are taken for {patch.target}: "
        f"{rates[0]:.1%} by the sealed model, {rates[1]:.1%} by the one with the backdoor.",
        console,
    )
    show(
        f"The flipped bit is in that of {len(DRAWS)} randomly drawn weights which moves the "
        "scores of natural digits most.",
        console,
    )
    for row in rows[1:]:
        if row.outcome != "tampered":
            show(f"Unnoticed: {row.name} ({row.outcome}).", console, style="bold red")


def as_claimed(rows: list[Row]) -> bool:
    """Whether the sealed network was found intact and every other one tampered with."""
    sealed, *changed = rows
    return (sealed.outcome, sealed.exit_code) == ("intact", 0) and all(
        (row.outcome, row.exit_code) == ("tampered", 1) for row in changed
    )


if __name__ == "__main__":
    sys.exit(main())
