"""Runs the command line as a user would, and reads what it said."""

import json
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

PROGRAM = Path(sys.executable).with_name("modelseal")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What verifying one deployed network said.

    Args:
        name: What is deployed.
        accuracy: The share of natural test digits that it reads right.
        exit_code: What the program ended with.
        seconds: How long it ran.
        verdict: The document that it wrote for machines.
    """

    name: str
    accuracy: float
    exit_code: int
    seconds: float
    verdict: dict[str, Any]

    @property
    def outcome(self) -> str:
        """Intact, tampered or undecided."""
        return str(self.verdict["outcome"])

    @property
    def shown(self) -> dict[int, str]:
        """What was answered to each sample, by the sample's number; empty for no answer."""
        return {entry["sample"]: entry["shown"] for entry in self.verdict["evidence"]}

    @property
    def noticed(self) -> set[int]:
        """The samples that were answered otherwise than the sealed model does."""
        evidence = self.verdict["evidence"]
        return {entry["sample"] for entry in evidence if entry["finding"] == "differs"}


def modelseal(*arguments: str | Path, console: Console) -> int:
    """Runs the installed program, shows how and the first line of what it says.

    Returns:
        Its exit code.
    """
    words = [str(argument) for argument in arguments]
    show(f"$ modelseal {shlex.join(words)}", console, style="bold")
    ended = subprocess.run([PROGRAM, *words], check=False, stdout=subprocess.PIPE, encoding="utf-8")
    first, _, _ = ended.stdout.partition("\n")
    show(first, console)
    return ended.returncode


def show(line: str, console: Console, *, style: str = "") -> None:
    """Writes a line as it is."""
    console.print(line, style=style, markup=False, soft_wrap=True)


def ask(seal: Path, url: str, *, name: str, accuracy: float, console: Console) -> Row:
    """Asks a server every sample of a fingerprint.

    Args:
        seal: The fingerprint's file.
        url: The served model.
        name: What is deployed.
        accuracy: Its accuracy, for the table.
        console: Where the command is shown.
    """
    document = seal.with_name("verdict.json")
    document.unlink(missing_ok=True)
    started = time.monotonic()
    code = modelseal("verify", seal, url, "--all", "--json", document, console=console)
    return Row(
        name=name,
        accuracy=accuracy,
        exit_code=code,
        seconds=time.monotonic() - started,
        verdict=json.loads(document.read_text(encoding="utf-8")),
    )
