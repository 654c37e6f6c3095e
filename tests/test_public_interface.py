"""What `import modelseal` gives: quick to import, complete, documented, and enough for the rest."""

import subprocess
import sys
from pathlib import Path

import pytest

import modelseal

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "numpy", "rich", "typer", "matplotlib", "pydantic", "httpx2")


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_modelseal_imports_nothing_heavy():
    assert run(f"import sys, modelseal; print([m for m in {HEAVY} if m in sys.modules])") == "[]"


def test_importing_modelseal_takes_less_than_a_tenth_of_a_second():
    code = (
        "import time; start = time.process_time(); import modelseal; "
        "print(time.process_time() - start)"
    )
    assert min(float(run(code)) for _ in range(3)) < 0.1


@pytest.mark.parametrize("name", modelseal.__all__)
def test_every_public_name_is_there_and_has_a_docstring(name):
    assert getattr(modelseal, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError):
        _ = modelseal.nonsense
