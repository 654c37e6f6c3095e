import io
import re
from functools import partial
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure as Canvas
from PIL import Image

from modelseal.evaluation.gallery import Exhibit
from modelseal.reports.plots import (
    AMPLIFIED,
    SKETCHES,
    amplify,
    draw_figures,
    draw_shares,
    draw_sheet,
    draw_sheets,
    render,
)
from modelseal.reports.style import COLOURS, DARK, LIGHT, METHODS, choose_stroke, settings_for


@pytest.fixture(scope="module")
def drawn(whole):
    return draw_figures(whole, prefix="resnet20-top1")


def redraw(summary, name, kind):
    return render(lambda canvas, page: SKETCHES[name].draw(canvas, summary, page), LIGHT, kind)


def test_a_whole_evaluation_has_every_figure_as_png_and_as_svg_light_and_dark(drawn):
    assert [each.name for each in drawn] == [f"resnet20-top1-{name}" for name in SKETCHES]
    for each in drawn:
        with Image.open(io.BytesIO(each.png)) as image:
            assert (image.format, image.getpixel((0, 0))[:3]) == ("PNG", (255, 255, 255))
            assert len(image.convert("L").getcolors(256)) > 10
        for drawing, page in ((each.light, LIGHT), (each.dark, DARK)):
            assert ElementTree.fromstring(drawing).tag.endswith("svg")  # noqa: S314
            assert page.paper.encode() in drawing


def test_svg_names_neither_a_date_nor_fonts_nor_anything_outside(drawn):
    for each in drawn:
        assert b"<dc:date>" not in each.light
        assert b"font-family" not in each.light
        links = re.findall(rb'(?:href|src)="([^"]*)"', each.light)
        assert all(link.startswith((b"#", b"data:")) for link in links)


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_same_figure_is_always_the_same_bytes(whole, drawn, kind):
    again = redraw(whole, "heat-map", kind)
    assert again == (drawn[0].png if kind == "png" else drawn[0].light)


@pytest.mark.parametrize(
    ("number", "names"),
    [
        (0, {"margins"}),
        (1, {"margins"}),
        (2, set()),
        (3, {"sensitivity", "margins"}),
        (4, {"heat-map", "missing", "margins"}),
    ],
)
def test_a_summary_in_which_something_is_missing_has_the_other_figures(poor, number, names):
    assert {name for name, each in SKETCHES.items() if each.is_wanted(poor[number])} == names
    for name in names:
        assert b"</svg>" in redraw(poor[number], name, "svg")


def test_the_user_s_own_settings_are_neither_used_nor_changed(whole, drawn):
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        again = redraw(whole, "heat-map", "png")
        assert mpl.rcParams["axes.facecolor"] == "red"
    assert again == drawn[0].png


def texts(summary, name):
    """All that is written on a figure."""
    from matplotlib.figure import Figure as Canvas
    from matplotlib.text import Text

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(settings_for(LIGHT))
        canvas = Canvas(layout="constrained")
        SKETCHES[name].draw(canvas, summary, LIGHT)
        canvas.draw_without_rendering()
        return canvas, [text.get_text() for text in canvas.findobj(Text) if text.get_visible()]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("heat-map", {"ftal", "boundary", "clean-label", "not applied"}),
        ("missing", {"samples in a set", "sets that miss", "chosen at random", "0", "natural"}),
        (
            "sensitivity",
            {"noise: sets of 3, detection", "size of the change", "that detect the change", "sign"},
        ),
        ("margins", {"margin", "3 times the move", "ibsf:float"}),
    ],
)
def test_figures_say_what_they_show(whole, name, wanted):
    assert wanted <= set(texts(whole, name)[1])


def test_the_numbers_of_the_heat_map_are_those_of_the_summary(whole):
    found = {each.share.value for each in whole.detections if each.level is None}
    canvas, _ = texts(whole, "heat-map")
    (field,) = canvas.axes
    shown = np.ma.filled(field.images[0].get_array(), np.nan)
    assert set(shown[~np.isnan(shown)].tolist()) == found
    assert np.isnan(shown[-1]).all()


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3)])
def test_a_sheet_shows_samples_with_and_without_their_natural_images(whole, shape):
    image = np.full(shape, 100, np.uint8)
    known = Exhibit(sample=image + np.uint8(1), natural=image)
    unknown = Exhibit(sample=image, natural=None)
    (sheet,) = draw_sheets({"boundary": (known,), "natural": (unknown,)}, whole, prefix="x")
    assert sheet.name == "x-samples"
    assert "Throw-away samples" in sheet.note
    with Image.open(io.BytesIO(sheet.png)) as image:
        assert image.format == "PNG"


def test_every_known_method_looks_different_from_every_other():
    strokes = {choose_stroke(method, METHODS) for method in METHODS}
    assert len(strokes) == len(METHODS)


def test_the_first_colour_is_ours_alone_whatever_else_is_drawn():
    others = [*METHODS[1:], *(f"new-{number}" for number in range(20))]
    assert choose_stroke("boundary", others).colour == COLOURS[0]
    assert all(choose_stroke(each, others).colour != COLOURS[0] for each in others)


@pytest.mark.parametrize("method", ["natural", "ibsf"])
def test_a_method_looks_the_same_whichever_others_are_drawn(method):
    alone, among = choose_stroke(method, [method]), choose_stroke(method, ["new", method])
    assert alone == among


def test_samples_off_the_levels_are_drawn_broken_in_the_colour_of_their_method():
    whole, broken = (choose_stroke(each, ["ibsf"]) for each in ("ibsf", "ibsf:float"))
    assert (whole.colour, whole.marker) == (broken.colour, broken.marker)
    assert (whole.dashes, broken.dashes) == ("-", "--")


EXACT = {1: [(0.0, 0.9), (0.5, 0.45), (1.0, 0.0)], 8: [(0.0, 1.0), (0.5, 0.99), (1.0, 0.0)]}
SIMULATED = {1: [(0.5, 0.44)]}


def draw_both(exact, simulated, page=LIGHT):
    draw = partial(draw_shares, exact=exact, simulated=simulated)
    return render(draw, page, "png")


def pixels(drawing):
    return np.asarray(Image.open(io.BytesIO(drawing)).convert("RGB"))


def colours(drawing):
    return {tuple(each) for each in pixels(drawing).reshape(-1, 3)}


def rgb(text):
    return tuple(int(text[at : at + 2], 16) for at in (1, 3, 5))


def test_every_number_of_samples_has_a_line_of_its_colour():
    found = colours(draw_both(EXACT, SIMULATED))
    assert {rgb(COLOURS[0]), rgb(COLOURS[1])} <= found
    assert rgb(COLOURS[2]) not in found


def test_marks_of_what_was_tried_are_drawn_beside_the_lines():
    without, with_marks = draw_both(EXACT, {}), draw_both(EXACT, SIMULATED)
    assert (pixels(without) != pixels(with_marks)).any()


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
