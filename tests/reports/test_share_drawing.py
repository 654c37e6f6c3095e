import io
from functools import partial

import numpy as np
from PIL import Image

from modelseal.reports.plots import draw_shares, render
from modelseal.reports.style import COLOURS, DARK, LIGHT

EXACT = {1: [(0.0, 0.9), (0.5, 0.45), (1.0, 0.0)], 8: [(0.0, 1.0), (0.5, 0.99), (1.0, 0.0)]}
SIMULATED = {1: [(0.5, 0.44)]}


def drawn(exact, simulated, page=LIGHT):
    draw = partial(draw_shares, exact=exact, simulated=simulated)
    return render(draw, page, "png")


def pixels(drawing):
    return np.asarray(Image.open(io.BytesIO(drawing)).convert("RGB"))


def colours(drawing):
    return {tuple(each) for each in pixels(drawing).reshape(-1, 3)}


def rgb(text):
    return tuple(int(text[at : at + 2], 16) for at in (1, 3, 5))


def test_every_number_of_samples_has_a_line_of_its_colour():
    found = colours(drawn(EXACT, SIMULATED))
    assert {rgb(COLOURS[0]), rgb(COLOURS[1])} <= found
    assert rgb(COLOURS[2]) not in found


def test_marks_of_what_was_tried_are_drawn_beside_the_lines():
    without, with_marks = drawn(EXACT, {}), drawn(EXACT, SIMULATED)
    assert (pixels(without) != pixels(with_marks)).any()


def test_the_same_numbers_are_always_the_same_bytes():
    assert drawn(EXACT, SIMULATED) == drawn(EXACT, SIMULATED)


def test_a_dark_page_is_dark():
    assert pixels(drawn(EXACT, {}, DARK))[0, 0].tolist() == list(rgb(DARK.paper))
