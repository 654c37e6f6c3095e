import json

import numpy as np
import pytest
import sealed
from PIL import Image

from modelseal.domain import Domain
from modelseal.fingerprint.codec import write

IMAGES = Domain(shape=(3, 4, 5))


def test_an_inspection_says_what_the_fingerprint_is_for(seal_file, run):
    seal_file()
    result = run("inspect", "out.seal")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "for: inputs of shape 2 x 3 from 0 to 1 on 256 levels\n" in result.stdout
    assert "samples: 3\n" in result.stdout


def test_json_takes_the_place_of_the_text_on_standard_output(seal_file, run):
    seal_file()
    document = json.loads(run("inspect", "out.seal", "--json", "-").stdout)
    assert document["schema"] == "modelseal.inspection/1"


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
    write(made, folder / "out.seal")
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
        (["out.seal", "--json", "no/x"], "there is no folder no"),
        (["out.seal", "--json", "out.seal"], "this one is read as well"),
        (["out.seal", "--images", "out.seal"], "out.seal: cannot be written to: File exists"),
    ],
)
def test_wrong_use_or_a_bad_file_is_one_sentence_with_exit_code_2(folder, run, arguments, problem):
    write(sealed.fingerprint(domain=IMAGES), folder / "out.seal")
    before = (folder / "out.seal").read_bytes()
    result = run("inspect", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("modelseal: ")
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1
    assert (folder / "out.seal").read_bytes() == before


def test_samples_that_are_no_images_cannot_be_written_as_images(folder, run):
    write(sealed.fingerprint(domain=Domain(shape=(4,))), folder / "out.seal")
    result = run("inspect", "out.seal", "--images", "pictures")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "only 8-bit images of one or three channels" in result.stderr
    assert not (folder / "pictures").exists()
