import io

import numpy as np
import pytest
from program import Row
from rich.console import Console
from scans import Scans, read_scans

import demo
from modelseal.models.images import read_images
from modelseal.models.loader import load_model


def row(name, outcome, exit_code, noticed=0):
    evidence = [{"sample": n, "finding": "differs", "shown": "1"} for n in range(noticed)]
    verdict = {"outcome": outcome, "samples": 8, "evidence": evidence}
    return Row(name=name, accuracy=0.987, exit_code=exit_code, seconds=1.26, verdict=verdict)


INTACT, TAMPERED = row("sealed model", "intact", 0), row("copy", "tampered", 1, noticed=3)


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=100)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([INTACT, TAMPERED, TAMPERED], True),
        ([TAMPERED, TAMPERED], False),
        ([row("sealed model", "undecided", 3), TAMPERED], False),
        ([row("sealed model", "intact", 1), TAMPERED], False),
        ([INTACT, TAMPERED, row("copy", "intact", 0)], False),
        ([INTACT, row("copy", "tampered", 0)], False),
    ],
)
def test_the_demo_succeeds_only_if_every_verdict_is_as_claimed(rows, expected):
    assert demo.as_claimed(rows) is expected


def test_the_table_has_a_line_for_each_served_network(console):
    console.print(demo.tabulate([INTACT, TAMPERED]))
    lines = [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in console.file.getvalue().splitlines()
        if line.startswith("│")
    ]
    assert lines == [
        ["sealed model", "98.7%", "intact", "0 of 8 samples", "0", "1.3"],
        ["copy", "98.7%", "tampered", "3 of 8 samples", "1", "1.3"],
    ]


def test_what_the_owner_has_is_written_as_the_program_takes_it(tmp_path, console):
    train, test = read_scans()
    few = Scans(codes=train.codes[:128], digits=train.digits[:128])
    network = demo.prepare(tmp_path, few, test, console)
    model = load_model(tmp_path / "model.toml")
    codes, _ = read_images(tmp_path / "images.npz", model.domain)
    assert np.array_equal(codes, test.codes[: demo.NATURALS])
    assert "reads " in console.file.getvalue()
    weights = network.state_dict()
    assert all(value.equal(weights[key]) for key, value in model.network.state_dict().items())


def test_what_went_unnoticed_is_said(console):
    class Patch:
        target = 0

        def success_rate(self, network, inputs, labels):
            return network

    _, test = read_scans()
    copies = {demo.SEALED: 0.01, "backdoor patch": 0.95}
    rows = [INTACT, TAMPERED, row("one flipped bit", "intact", 0)]
    demo.explain(copies, rows, Patch(), test, console)
    text = " ".join(console.file.getvalue().split())
    assert "1.0% by the sealed model, 95.0% by the one with the backdoor" in text
    assert text.count("Unnoticed") == 1
    assert "Unnoticed: one flipped bit (intact)." in text
