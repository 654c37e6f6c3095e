import io
import re
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from modelseal.evaluation.gallery import Exhibit
from modelseal.reports.plots import SKETCHES, draw_figures, draw_sheets, render
from modelseal.reports.style import DARK, LIGHT, settings_for


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


def test_the_lines_of_the_missing_rate_are_those_of_the_summary(whole):
    canvas, _ = texts(whole, "missing")
    wanted_curve = ("natural", "detection")
    curve = next(each for each in whole.curves if (each.method, each.rule) == wanted_curve)
    drawn = [line.get_ydata() for line in canvas.axes[0].lines if len(line.get_xdata()) == 3]
    wanted = [point.value for point in curve.points]
    assert any(np.array_equal(line, wanted) for line in drawn)


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


def test_without_samples_there_is_no_sheet(whole):
    assert draw_sheets({}, whole, prefix="x") == ()
