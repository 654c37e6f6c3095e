import subprocess
import sys
from pathlib import Path

import pytest

import tables

FIGURES = {
    "resnet20.evaluate.detection_worst": 0.8765,
    "digits.evaluate.detection_worst": 0.0,
    "digits.evaluate.harmless_answers": 12345,
    "digits.evaluate.smallest_noise": 2.0**-13,
    "verify.start_s": 0.31234,
}
DOCUMENT = "before\n<!-- table: {0} -->\nold\n<!-- end: {0} -->\nafter\n"


def test_the_tables_of_the_documents_are_what_the_figures_say():
    script = Path(tables.__file__)
    ended = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "")


def test_eight_samples_miss_none_of_sixteen_modifications_as_the_readme_says():
    readme = tables.read(tables.ROOT / "README.md")
    assert "Eight samples together missed none of the sixteen modifications" in readme
    figures = tables.read_figures(tables.FIGURES)
    found = [figures[f"resnet20.evaluate.{key}"] for key in ("missed_of_trials", "modifications")]
    assert found == [0, 16]


def test_every_table_is_in_a_document_and_every_place_has_its_table():
    found = {
        name
        for path in tables.DOCUMENTS
        for name in (match["name"] for match in tables.PLACE.finditer(tables.read(path)))
    }
    reported = {f"{network}/{name}" for network in tables.NETWORKS for name in tables.SHOWN}
    spotted = {f"{network}/{name}" for network, names in tables.SPOTTED.items() for name in names}
    assert found == {*tables.TABLES, *reported, *spotted}
    for path in tables.DOCUMENTS:
        text = tables.read(path)
        assert text.count("<!-- table: ") == len(tables.PLACE.findall(text))


def test_a_table_is_replaced_and_what_is_around_it_stays(tmp_path, monkeypatch):
    filled = tables.fill(DOCUMENT.format("cost"), FIGURES)
    assert filled.startswith("before\n<!-- table: cost -->\n| what |")
    assert filled.endswith("|\n<!-- end: cost -->\nafter\n")
    assert "old" not in filled
    assert tables.fill(filled, FIGURES) == filled
    with pytest.raises(KeyError, match="speed"):
        tables.fill(DOCUMENT.format("speed"), FIGURES)
    monkeypatch.setattr(tables, "EVALUATIONS", tmp_path)
    filled = tables.fill(DOCUMENT.format("resnet32/overview"), FIGURES)
    assert "-->\nNot measured.\n<!--" in filled


@pytest.mark.parametrize("name", tables.TABLES)
def test_what_was_not_measured_is_said_to_be_so(name, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "EVALUATIONS", tmp_path)
    table = tables.TABLES[name]({})
    numbers = [cell for line in table.splitlines()[2:] for cell in line.split(" | ")[1:]]
    assert {cell.removesuffix(" |") for cell in numbers} == {"not measured"}


def test_figures_have_their_places_and_units():
    table = tables.evaluate_table(FIGURES)
    line = table.splitlines()[3]
    assert line == "| the modification detected least | 88 % | not measured | 0 % |"
    assert "| answers from harmless variants | not measured | not measured | 12,345 |" in table
    assert " | 2^-13 |" in table
    assert "| `modelseal verify --help` | 0.312 s |" in tables.cost_table(FIGURES)


def test_writing_the_tables_makes_the_check_pass(tmp_path, monkeypatch, capsys):
    page, figures = tmp_path / "page.md", tmp_path / "figures.json"
    page.write_text(DOCUMENT.format("cost"))
    monkeypatch.setattr(tables, "DOCUMENTS", (page,))
    monkeypatch.setattr(tables, "FIGURES", figures)
    assert tables.read_figures(figures) == {}
    figures.write_text('{"verify.start_s": 0.25}')
    monkeypatch.setattr(sys, "argv", ["tables.py", "--check"])
    assert tables.main() == 1
    assert "page.md: its tables are not what figures.json says" in capsys.readouterr().out
    assert page.read_text() == DOCUMENT.format("cost")
    monkeypatch.setattr(sys, "argv", ["tables.py"])
    assert tables.main() == 0
    assert "| 0.25 s |" in page.read_text()
    monkeypatch.setattr(sys, "argv", ["tables.py", "--check"])
    assert tables.main() == 0
