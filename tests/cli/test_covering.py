import json

import numpy as np
import pytest
import sealed
from PIL import Image

from modelseal.cli.session import list_naturals, load_cover
from modelseal.domain import Domain
from modelseal.endpoints.recorded import RecordedEndpoint, record
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.fingerprint.codec import write

DOMAIN = Domain(shape=(1, 8, 8))


@pytest.fixture
def stock(folder):
    """A fingerprint of 8-bit images with its recorded answers, and natural images for it."""
    made = sealed.fingerprint(domain=DOMAIN)
    write(made, folder / "out.seal")
    record(made.expected, folder / "answers.jsonl")
    (folder / "naturals").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8), dtype=np.uint8)
    for number, each in enumerate(pixels):
        Image.fromarray(each).save(folder / "naturals" / f"{number}.png")
    np.savez(folder / "naturals.npz", images=pixels)
    return made


@pytest.fixture
def asked(monkeypatch):
    """What the recorded answers are asked; they know nothing of cover, as a server would."""
    seen = []
    look_up = RecordedEndpoint.ask

    def ask(self, codes):
        seen.append(codes.copy())
        known = any(
            (codes[0] == sample).all() for sample in sealed.fingerprint(domain=DOMAIN).samples
        )
        return look_up(self, codes if known else sealed.fingerprint(domain=DOMAIN).samples[[0]])

    monkeypatch.setattr(RecordedEndpoint, "ask", ask)
    return seen


@pytest.mark.parametrize("naturals", ["naturals", "naturals.npz"])
def test_natural_images_are_asked_among_the_samples_and_not_judged(stock, asked, run, naturals):
    result = run(
        "verify", "out.seal", "answers.jsonl", "--cover", 5, "--naturals", naturals, "--json", "-"
    )
    assert result.stderr == ""
    document = json.loads(result.stdout)
    assert result.exit_code == 0
    assert document["asked"] == 3
    assert len(asked) == 8
    assert len({each.tobytes() for each in asked}) == 8


def test_without_cover_the_samples_alone_are_asked(stock, asked, run):
    assert run("verify", "out.seal", "answers.jsonl").exit_code == 0
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--cover", "2"], "--cover N and --naturals IMAGES need one another"),
        (["--naturals", "naturals"], "--cover N and --naturals IMAGES need one another"),
        (["--cover", "2", "--naturals", "no"], "no: a folder of images or an .npz file was wanted"),
        (["--cover", "2", "--naturals", "out.seal"], "out.seal: a folder of PNG or JPEG files"),
        (["--cover", "7", "--naturals", "naturals"], "naturals: 7 natural inputs unlike the"),
        (
            ["--cover", "2", "--naturals", "naturals", "--json", "naturals/0.png"],
            "this one is read as well",
        ),
        (
            ["--cover", "2", "--naturals", "naturals.npz", "--html", "naturals.npz"],
            "this one is read as well",
        ),
    ],
)
def test_wrong_use_is_one_sentence_before_anything_is_asked(
    stock, asked, folder, run, arguments, problem
):
    result = run("verify", "out.seal", "answers.jsonl", *arguments)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert problem in result.stderr
    assert asked == []


def test_a_negative_number_is_refused(stock, run):
    assert run("verify", "out.seal", "answers.jsonl", "--cover", "-1").exit_code == 2


def test_nothing_is_read_or_drawn_unless_cover_is_wanted(stock):
    assert list_naturals(0, None) == ()
    assert load_cover(stock, None, count=0, generator=np.random.default_rng(0)) == ()


def test_the_functions_name_what_is_wrong(stock, folder):
    with pytest.raises(InvalidArgumentError, match="need one another"):
        list_naturals(1, None)
    with pytest.raises(BadFileError, match="unlike the samples were wanted"):
        load_cover(stock, folder / "naturals", count=9, generator=np.random.default_rng(0))
