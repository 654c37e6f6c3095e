import numpy as np
from matplotlib.figure import Figure as Canvas

from modelseal.evaluation.gallery import Exhibit
from modelseal.reports.plots import AMPLIFIED, amplify, draw_sheet
from modelseal.reports.style import LIGHT


def test_a_difference_is_amplified_around_the_middle_grey_and_stays_within_the_levels():
    natural = np.array([[100, 100, 100, 0, 255]], np.uint8)
    sample = np.array([[100, 101, 98, 255, 0]], np.uint8)
    assert amplify(sample, natural).tolist() == [
        [128, 128 + AMPLIFIED, 128 - 2 * AMPLIFIED, 255, 0]
    ]


def test_a_known_sample_takes_three_images_and_an_unknown_one_only_its_own(whole):
    image = np.zeros((4, 4), np.uint8)
    known, unknown = (Exhibit(sample=image, natural=each) for each in (image, None))
    canvas = Canvas(layout="constrained")
    draw_sheet({"boundary": (known, unknown), "other": (known,)}, canvas, whole, LIGHT)
    shown = [len(field.images) for field in canvas.axes]
    assert shown == [1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    assert canvas.axes[0].get_ylabel() == "boundary"
