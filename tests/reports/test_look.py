import pytest

from modelseal.reports.style import COLOURS, METHODS, choose_stroke


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
