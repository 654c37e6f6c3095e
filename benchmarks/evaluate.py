"""Every method against every change: ResNet-20 and ResNet-32 on CIFAR-10, and the digits network.

Makes the files that the plans name out of real data, runs the plans with `modelseal evaluate`, and
counts what came of it. A run that was stopped goes on where it was. Name networks to run only
some; the figures of the others stay as they are.
"""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from deployment import deploy
from scans import read_scans
from training import learn

from cifar import data_folder, declare, images
from modelseal.calibration.variants import fp32_variants
from modelseal.evaluation.metrics import Summary
from modelseal.models.transforms import ORDERS
from modelseal.reports.build import load
from modelseal.tampering.catalogue import GROUPS
from modelseal.types import Array
from results_file import RESULTS, write

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent / "build" / "evaluation"
DEPTHS: Mapping[str, Literal[20, 32]] = {"resnet20": 20, "resnet32": 32}
NETWORKS = ("digits", *DEPTHS)
WORKERS = 2
TRAINING_IMAGES, TEST_IMAGES = 8192, 5000
OURS, RULE = "boundary", "detection"
# All of a random weight's bits that the share is about, as one group.
ALL_BITS = "all of these"
SIXTEEN = GROUPS["bivbench"]
# Samples were kept because these variants do not change their answers: the others say more.
TRIED_AT_SEALING = {variant.name for variant in fp32_variants()} | {*ORDERS, "folded"}


def main() -> None:
    """Runs the plans of the named networks, or of all, and writes the figures of all."""
    for name in sys.argv[1:] or (NETWORKS if data_folder() else NETWORKS[:1]):
        prepare(name)
        run(name)
    gather()


def gather() -> None:
    """Writes the figures of all networks that were run."""
    known = [name for name in NETWORKS if archive(name).is_file()]
    figures: dict[str, float] = {}
    before = read_figures()
    for name in known:
        (summary,) = load(archive(name))
        figures |= {f"{name}.{key}": value for key, value in count(summary).items()}
        minutes = f"{name}.evaluate.grid_minutes"
        # A network that was run elsewhere keeps the minutes that it took there.
        figures[minutes] = read_minutes(name) or before.get(minutes, 0.0)
    write("evaluate", {"figures": figures, "details": {"torch": torch.__version__}})


def prepare(name: str) -> None:
    """Makes the files that a network's plan names, if they are not there."""
    folder = FOLDER / name
    if (folder / "model.toml").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    if name in DEPTHS:
        keep(folder / "train.npz", *images("train", TRAINING_IMAGES))
        keep(folder / "test.npz", *images("test", TEST_IMAGES))
        (folder / "model.toml").write_text(declare(DEPTHS[name]), encoding="utf-8")
        return
    torch.set_num_threads(1)
    for part, scans in zip(("train", "test"), read_scans(), strict=True):
        keep(folder / f"{part}.npz", scans.codes, scans.digits)
    deploy(learn(read_scans()[0]), folder)


def keep(file: Path, codes: Array, labels: Array) -> None:
    """Writes labelled inputs as a plan takes them."""
    np.savez(file, images=codes, labels=labels)


def run(name: str) -> None:
    """Runs a network's plan, or what is missing of it, and makes the report."""
    results, report = FOLDER / name / "results", FOLDER / name / "report"
    program = Path(sys.executable).with_name("modelseal")
    plan = HERE / "plans" / f"{name}.toml"
    begin = time.monotonic()
    try:
        call([program, "evaluate", plan, "-o", results, "--workers", str(WORKERS)])
    finally:
        minutes = read_minutes(name) + (time.monotonic() - begin) / 60
        minutes_file(name).write_text(json.dumps(minutes), encoding="utf-8")
    call([program, "report", results, "-o", report])
    archive(name).parent.mkdir(exist_ok=True)
    archive(name).write_bytes((report / "tables.json").read_bytes())


def call(command: list[str | Path]) -> None:
    """Runs a program that must end well."""
    subprocess.run(command, check=True)


def archive(name: str) -> Path:
    """Where the tables of a network's run are kept."""
    return RESULTS / "evaluation" / f"{name}.json"


def minutes_file(name: str) -> Path:
    """Where the minutes of a network's run add up when it is stopped and goes on."""
    return FOLDER / name / "minutes.json"


def read_minutes(name: str) -> float:
    """How many minutes a network's run took so far."""
    file = minutes_file(name)
    return float(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else 0.0


def read_figures() -> Mapping[str, float]:
    """The figures of earlier runs; none if there are none."""
    file = RESULTS / "evaluate.json"
    content: Mapping[str, Mapping[str, float]] = (
        json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    )
    return content.get("figures", {})


def count(summary: Summary) -> dict[str, float]:
    """The figures of one network, all of our samples on the levels."""
    chosen = (OURS, RULE)
    detected = [
        each.share.value
        for each in summary.detections
        if each.method == OURS and each.change in SIXTEEN
    ]
    missed = [
        each.sets
        for each in summary.missed
        if (each.method, each.rule) == chosen and each.change in SIXTEEN
    ]
    smallest = {
        each.family: each.smallest
        for each in summary.graded
        if (each.method, each.rule) == chosen and each.smallest is not None
    }
    bits = [each for each in summary.bits if (each.method, each.rule) == chosen]
    alarms = [each for each in summary.alarms if each.method == OURS and each.variant]
    new = [each for each in alarms if each.variant not in TRIED_AT_SEALING]
    return {
        "evaluate.modifications": len(detected),
        "evaluate.detection_mean": float(np.mean(detected)),
        "evaluate.detection_worst": min(detected),
        "evaluate.missed_of_trials": sum(each.part for each in missed),
        "evaluate.trials": min(each.whole for each in missed),
        "evaluate.rows_lost": len(summary.rows_lost),
        "evaluate.false_alarms": sum(each.alarms for each in alarms),
        "evaluate.harmless_answers": sum(each.answers for each in alarms),
        "evaluate.new_false_alarms": sum(each.alarms for each in new),
        "evaluate.new_harmless_answers": sum(each.answers for each in new),
        **{f"evaluate.smallest_{name}": level for name, level in smallest.items()},
        **{name_bits(each.name): each.sets.value for each in bits if each.sets},
        **{
            f"{name_bits(each.name)}_of_effective": each.effective.value
            for each in bits
            if each.effective
        },
    }


def name_bits(group: str) -> str:
    """The name of the figure of a group of bits."""
    own = "" if group == ALL_BITS else f".{group.split()[0]}"
    return f"evaluate.bitflip_share{own}"


if __name__ == "__main__":
    main()
