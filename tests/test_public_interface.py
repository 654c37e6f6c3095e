"""What `import modelseal` gives: quick to import, complete, documented, and enough for the rest."""

import ast
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


VERBS = {
    file: ("modelseal.cli", "modelseal.enums", "modelseal.files", "modelseal.errors")
    for file in (ROOT / "src" / "modelseal" / "cli").glob("*.py")
    if file.stem not in {"render", "console"}
}
DEMO = dict.fromkeys((ROOT / "demo").glob("*.py"), ("modelseal.tampering",))


def imported(file):
    """The modules of ours that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name.startswith("modelseal."))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("modelseal."):
            yield node.module


@pytest.mark.parametrize(("file", "allowed"), [*VERBS.items(), *DEMO.items()])
def test_verbs_and_the_demo_use_the_public_interface_alone(file, allowed):
    wrong = [n for n in imported(file) if not any(f"{n}.".startswith(f"{a}.") for a in allowed)]
    assert wrong == []
