"""Where results are kept, and how they are written."""

import json
from collections.abc import Mapping
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"


def write(name: str, content: Mapping[str, object]) -> None:
    """Writes one result whole or not at all."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    part = RESULTS / f"{name}.part"
    part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    part.replace(RESULTS / f"{name}.json")
