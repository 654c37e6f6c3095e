import json

import numpy as np
import pytest
import sealed
from PIL import Image

from modelseal.cli.console import Terminal
from modelseal.cli.render import show_inspection
from modelseal.domain import Domain
from modelseal.fingerprint.fingerprint import Limit

IMAGES = Domain(shape=(3, 4, 5))


def test_json_in_a_file_stands_beside_the_text(seal_file, folder, run):
    seal_file()
    text = run("inspect", "out.seal").stdout
    result = run("inspect", "out.seal", "--json", "facts.json")
    assert result.stdout == text
    document = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    assert document["fingerprint"] == "out.seal"
    assert document["psnr_db"] == {"min": 41.25, "median": 48.5, "max": None}


def test_images_are_lossless_and_come_with_a_warning_only_when_asked_for(folder, run):
    made = sealed.fingerprint(domain=IMAGES, count=2)
    made.save(folder / "out.seal")
    run("inspect", "out.seal")
    assert [file.name for file in folder.iterdir()] == ["out.seal"]
    result = run("inspect", "out.seal", "--images", "pictures")
    assert result.exit_code == 0
    assert result.stderr == (
        "modelseal: 2 samples are in pictures; they are secret, as the fingerprint is\n"
    )
    for number, sample in enumerate(made.samples):
        with Image.open(folder / "pictures" / f"{number:03}.png") as image:
            assert np.array_equal(np.asarray(image).transpose(2, 0, 1), sample)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["missing.seal"], "missing.seal: cannot be read: No such file or directory"),
        (["out.seal", "--json", "no/x"], "no folder no"),
        (["out.seal", "--json", "out.seal"], "is read as well"),
        (["out.seal", "--images", "out.seal"], "out.seal: cannot be written to: File exists"),
    ],
)
def test_wrong_use_or_a_bad_file_is_one_sentence_with_exit_code_2(folder, run, arguments, problem):
    sealed.fingerprint(domain=IMAGES).save(folder / "out.seal")
    before = (folder / "out.seal").read_bytes()
    result = run("inspect", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("modelseal: ")
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1
    assert (folder / "out.seal").read_bytes() == before


def test_samples_that_are_no_images_cannot_be_written_as_images(folder, run):
    sealed.fingerprint(domain=Domain(shape=(4,))).save(folder / "out.seal")
    result = run("inspect", "out.seal", "--images", "pictures")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "8-bit images of one or three channels" in result.stderr
    assert not (folder / "pictures").exists()


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")


def rows(text):
    """The cells of a table's rows, without its heading."""
    return [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in text.splitlines()
        if line.startswith("│")
    ]


def test_an_inspection_has_one_line_for_each_fact(seal_file, run):
    seal_file(names=("ant", "bee", "cat", "dog", "elk"))
    facts = dict(line.split(": ", 1) for line in run("inspect", "out.seal").stdout.splitlines())
    assert facts["inputs"] == "shape 2 x 3 from 0 to 1 on 256 levels"
    assert facts["classes"] == "5: ant, bee, cat, dog, elk"
    assert facts["parameters"] == "margin 0.001, search lattice, tie 3"
    assert facts["margins"] == "0.5 to 1, median 0.75"
    assert facts["weights"] == f"sha256:{'0123456789abcdef' * 4}"
    assert facts["power"] == "not measured"
    assert {"shown", "samples", "method", "moves", "PSNR", "variants", "false alarms"} < set(facts)


def test_variants_that_could_not_be_tried_are_no_setting(seal_file, run):
    seal_file(origin=sealed.origin(parameters={"margin": 0.001, "skipped": "nnpack, compile"}))
    lines = run("inspect", "out.seal").stdout.splitlines()
    assert lines[lines.index("variants: batch 7, threads 2") + 1] == "not tried: nnpack, compile"
    assert "parameters: margin 0.001" in lines


def test_what_was_never_measured_is_said_so(seal_file, run):
    seal_file(origin=sealed.origin(harmless_answers=0, variants=()))
    lines = run("inspect", "out.seal").stdout.splitlines()
    assert {"false alarms: not measured", "classes: 5, without names", "variants: none"} < set(
        lines
    )


def test_an_inspection_ends_with_a_table_of_what_was_noticed(seal_file, run):
    seal_file(power=sealed.LIMITS)
    assert rows(run("inspect", "out.seal").stdout) == [
        ["Gaussian noise", "2^-14 of each layer's spread", "20 of 20", "86.0 % or more"],
        ["a flipped sign bit", "", "17 of 20", "65.6 % or more"],
        ["pruning", "2^-1 of all weights", "0 of 1", "the only one"],
        ["rounded to bfloat16", "", "1 of 1", "the only one"],
    ]


def test_nothing_in_a_file_controls_the_terminal_through_its_power(seal_file, run):
    limit = Limit(family="\x1b[2Ja[b]", unit="\x1b[3J", level=1.0, noticed=1, draws=2)
    seal_file(power=(limit,))
    out = run("inspect", "out.seal").stdout
    assert "\x1b" not in out
    assert r"\x1b[2Ja[b]" in out


@pytest.mark.parametrize(
    ("noticed", "told"), [(20, "86.0 % or more"), (19, "78.3 % or more"), (0, "0.0 % or more")]
)
def test_a_lower_bound_is_never_rounded_up(seal_file, run, noticed, told):
    seal_file(power=(Limit(family="a", unit="u", level=1.0, noticed=noticed, draws=20),))
    assert rows(run("inspect", "out.seal").stdout)[0][-1] == told


def test_an_inspection_is_grouped_and_fits_a_terminal(capsys, terminal):
    show_inspection(Terminal(), sealed.fingerprint(power=sealed.LIMITS))
    out = capsys.readouterr().out
    plain = out.replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert out != plain
    assert max(map(len, plain.splitlines())) <= 60
    assert [line for line in plain.splitlines() if line[:1].isalpha()] == [
        *("What it is for", "How it was made", "What it tolerates", "What it notices")
    ]
