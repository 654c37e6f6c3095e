import numpy as np
import pytest
import sealed
from picture import amplification, amplify, draw
from PIL import Image
from program import Row

from modelseal.domain import Domain

STARTS = np.full((4, 1, 6, 6), 100, np.uint8)


@pytest.fixture
def samples():
    changed = STARTS.copy()
    changed[:, 0, 0, 0] = 100 + np.arange(4) * 10
    return changed


def test_the_factor_is_the_largest_that_keeps_every_difference_in_range(samples):
    assert amplification(samples, STARTS) == 4  # 30 × 4 = 120, 30 × 5 = 150
    assert amplification(STARTS, STARTS) == 127


def test_no_difference_is_grey_and_others_are_darker_or_brighter_by_the_factor(samples):
    amplified = amplify(samples, STARTS, 4)
    assert amplified[:, 0, 0, 0].tolist() == [128, 168, 208, 248]
    assert (amplified[:, 0, 1:] == 128).all()
    assert amplify(STARTS, samples, 4)[3, 0, 0, 0] == 8


def row(name, shown, finding):
    evidence = [
        {"sample": number, "finding": finding, "shown": shown} for number in range(3)
    ]  # the fourth was never asked
    return Row(name=name, accuracy=1.0, exit_code=0, seconds=1.0, verdict={"evidence": evidence})


def test_the_picture_has_red_only_where_a_sample_noticed(samples, tmp_path):
    fingerprint = sealed.fingerprint(count=4, domain=Domain(shape=(1, 6, 6)), samples=samples)

    def red(finding):
        file = tmp_path / "picture.png"
        rows = [row("sealed", "7", "agrees"), row("other", "8", finding)]
        draw(fingerprint, STARTS, rows, file)
        with Image.open(file) as image:
            pixels = np.asarray(image.convert("RGB")).astype(int)
        return int((pixels[..., 0] - pixels[..., 1] > 100).sum())

    assert red("agrees") == red("unclear") == 0
    assert red("differs") > 50
