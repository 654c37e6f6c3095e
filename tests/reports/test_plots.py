import io
import re
from dataclasses import replace
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure as Canvas
from matplotlib.text import Text
from PIL import Image

from modelseal.evaluation.results import Exhibit
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
from modelseal.reports.style import COLOURS, DARK, LIGHT, METHODS, choose_stroke


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
            assert b"<dc:date>" not in drawing
            assert b"font-family" not in drawing
            links = re.findall(rb'(?:href|src)="([^"]*)"', drawing)
            assert all(link.startswith((b"#", b"data:")) for link in links)


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_same_figure_is_always_the_same_bytes_whatever_the_user_s_settings(whole, drawn, kind):
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        again = redraw(whole, "heat-map", kind)
        assert mpl.rcParams["axes.facecolor"] == "red"
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
    canvas = Canvas(layout="constrained")
    SKETCHES[name].draw(canvas, whole, LIGHT)
    canvas.draw_without_rendering()
    assert wanted <= {text.get_text() for text in canvas.findobj(Text) if text.get_visible()}
    if name == "heat-map":
        found = {each.share.value for each in whole.detections if each.level is None}
        shown = np.ma.filled(canvas.axes[0].images[0].get_array(), np.nan)
        assert set(shown[~np.isnan(shown)].tolist()) == found
        assert np.isnan(shown[-1]).all()


def test_every_known_method_has_its_own_look_and_ours_alone_the_first_colour():
    assert len({choose_stroke(method, METHODS) for method in METHODS}) == len(METHODS)
    others = [*METHODS[1:], *(f"new-{number}" for number in range(20))]
    assert choose_stroke("boundary", others).colour == COLOURS[0]
    assert all(choose_stroke(each, others).colour != COLOURS[0] for each in others)
    for method in ("natural", "ibsf"):
        assert choose_stroke(method, [method]) == choose_stroke(method, ["new", method])
    whole, broken = (choose_stroke(each, ["ibsf"]) for each in ("ibsf", "ibsf:float"))
    assert (whole.dashes, replace(broken, dashes="-")) == ("-", whole)
    assert broken.dashes == "--"


EXACT = {1: [(0.0, 0.9), (0.5, 0.45), (1.0, 0.0)], 8: [(0.0, 1.0), (0.5, 0.99), (1.0, 0.0)]}


def test_every_number_of_samples_has_a_line_of_its_colour_and_marks_of_what_was_tried():
    canvas = Canvas(layout="constrained")
    draw_shares(canvas, LIGHT, exact=EXACT, simulated={1: [(0.5, 0.44)]})
    lines = canvas.axes[0].lines
    assert [line.get_color() for line in lines[:-1]] == [COLOURS[0]] * 3 + [COLOURS[1]] * 3
    assert [lines[at].get_xydata().tolist() for at in (0, 1, 4)] == [
        [list(point) for point in EXACT[1]],
        [[0.5, 0.44]],
        [],
    ]


def test_a_difference_is_amplified_around_the_middle_grey_and_stays_within_the_levels():
    natural = np.array([[100, 100, 100, 0, 255]], np.uint8)
    sample = np.array([[100, 101, 98, 255, 0]], np.uint8)
    wanted = [[128, 128 + AMPLIFIED, 128 - 2 * AMPLIFIED, 255, 0]]
    assert amplify(sample, natural).tolist() == wanted


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3)])
def test_a_known_sample_takes_three_images_and_an_unknown_one_only_its_own(whole, shape):
    image = np.full(shape, 100, np.uint8)
    known, unknown = (Exhibit(sample=image, natural=each) for each in (image, None))
    canvas, shown = Canvas(), {"boundary": (known, unknown), "natural": (known,)}
    draw_sheet(shown, canvas, whole, LIGHT)
    assert [len(field.images) for field in canvas.axes[:12]] == [1, 1, 1, 0, 1] + [0] * 7
    assert canvas.axes[0].get_ylabel() == "boundary"
    (sheet,) = draw_sheets(shown, whole, prefix="x")
    assert (sheet.name, sheet.png[1:4]) == ("x-samples", b"PNG")
    assert "Throw-away samples" in sheet.note
