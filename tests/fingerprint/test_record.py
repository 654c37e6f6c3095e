import dataclasses
from math import inf, nan

import numpy as np
import pytest
import sealed
from hypothesis import given
from hypothesis import strategies as st
from refusals import refuses

from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.fingerprint import (
    Fingerprint,
    check_neighbours,
    format_level,
    format_power,
    list_faces,
)
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.specs import Probabilities, RawScores, TopLabels, TopProbabilities

LABELS = np.array([[1], [0], [4]])
SMALL = Domain(shape=(2, 2), levels=16)


@pytest.mark.parametrize("spec", sealed.SPECS, ids=str)
@pytest.mark.parametrize("domain", sealed.DOMAINS, ids=str)
def test_every_spec_and_domain_can_be_sealed(domain, spec):
    assert len(sealed.fingerprint(domain=domain, spec=spec, count=4)) == 4


def make_unchecked(**changes):
    """A fingerprint past the types of the constructor, which are checked in tests only."""
    made = object.__new__(Fingerprint)
    defaults = {
        field.name: field.default
        for field in dataclasses.fields(Fingerprint)
        if field.default is not dataclasses.MISSING
    }
    for name, value in {**defaults, **sealed.fields(**changes)}.items():
        object.__setattr__(made, name, value)
    made.__post_init__()


def labels(rows):
    return Answers(kind=Kind.LABELS, labels=np.array(rows))


def shown(kind, number):
    return Answers(kind=kind, values=np.full((3, 5), number))


WRONG = [
    ({"samples": np.zeros((3, 7), np.uint8)}, "samples"),
    ({"samples": np.zeros((3, 2, 3), np.float32)}, "samples"),
    ({"samples": np.zeros((0, 2, 3), np.uint8)}, "samples"),
    *(({"classes": n, "expected": labels(LABELS)}, "classes") for n in (-1, 0, 1_000_001)),
    ({"spec": TopLabels(6), "expected": labels(LABELS)}, "spec"),
    ({"names": ("a", "b")}, "names"),
    ({"names": ("a", "b", "c", "", "e")}, "names[3]"),
    ({"names": ("a", "b", "c", "d", "\ud800")}, "names[4]"),
    ({"expected": labels(LABELS[:2])}, "expected.labels"),
    ({"expected": labels([[1], [0], [5]])}, "expected.labels[2][0]"),
    ({"expected": labels([[-1], [0], [4]])}, "expected.labels[0][0]"),
    ({"expected": labels([[0, 1]] * 3)}, "expected.labels"),
    ({"spec": TopLabels(2), "expected": labels([[0, 0]] * 3)}, "expected"),
    ({"expected": shown(Kind.SCORES, 0.0)}, "expected"),
    (
        {"expected": Answers(kind=Kind.LABELS, labels=LABELS, values=np.ones((3, 1)))},
        "expected.values",
    ),
    ({"spec": TopProbabilities(1, 2), "expected": labels(LABELS)}, "expected.values"),
    (
        {"spec": Probabilities(1), "expected": shown(Kind.PROBABILITIES, 0.21)},
        "expected.values[0][0]",
    ),
    ({"spec": Probabilities(1), "expected": shown(Kind.PROBABILITIES, 0.9)}, "expected"),
    ({"spec": RawScores(0.5), "expected": shown(Kind.SCORES, nan)}, "expected"),
    ({"margins": np.array([1.0, 2.0])}, "margins"),
    ({"margins": np.ones((3, 1))}, "margins"),
    ({"margins": np.array([1, 2, 3])}, "margins"),
    ({"margins": np.array([1.0, 0.0, 1.0])}, "margins[1]"),
    ({"margins": np.array([1.0, 1.0, nan])}, "margins[2]"),
    ({"margins": np.array([inf, 1.0, 1.0])}, "margins[0]"),
    ({"moves": np.array([0.0, -0.1, 0.0])}, "moves[1]"),
    ({"moves": np.array([0.0, nan, 0.0])}, "moves[1]"),
    ({"moves": np.array([[0.0, 0.0, 0.0]])}, "moves"),
    ({"moves": np.array([0.0, 0.2, 0.0])}, "margins[1]"),
    *(({"factor": number}, "factor") for number in (0.5, nan, inf)),
    ({"psnr": np.array([40.0, nan, 40.0])}, "psnr[1]"),
    ({"psnr": np.array([40.0, 40.0, -inf])}, "psnr[2]"),
    ({"psnr": np.array([40.0])}, "psnr"),
    ({"sources": np.array([0, -1, 2])}, "sources[1]"),
    ({"sources": np.array([0, 1, 2**63], np.uint64)}, "sources[2]"),
    ({"sources": np.array([0.0, 1.0, 2.0])}, "sources"),
    ({"enrollment": sealed.enrolment(), "count": 4}, "enrolment.differing"),
    ({"neighbours": sealed.NEIGHBOURS}, "neighbours"),
    ({"neighbours": np.zeros((3, 0), int)}, "neighbours"),
    ({"neighbours": np.zeros(3, int)}, "neighbours"),
    ({"neighbours": np.ones((3, 1))}, "neighbours"),
    ({"neighbours": np.full((3, 1), 7)}, "neighbours[0][0]"),
    ({"domain": sealed.DOMAINS[2], "neighbours": np.ones((3, 1), int)}, "neighbours"),
    ({"power": (*sealed.LIMITS, sealed.LIMITS[1])}, "power[4].family"),
]


@pytest.mark.parametrize(("changes", "field"), WRONG, ids=range(len(WRONG)))
def test_a_fingerprint_that_could_not_be_judged_is_refused_with_its_field(changes, field):
    with refuses(InvalidArgumentError, field=field):
        make_unchecked(**changes)


@pytest.mark.parametrize("part", ["labels", "values"])
def test_expected_numbers_of_another_kind_are_refused(part):
    spec = TopProbabilities(1, 2)
    expected = spec.reveal(np.eye(5)[:3])
    kind = float if part == "labels" else int
    object.__setattr__(expected, part, getattr(expected, part).astype(kind))
    with refuses(InvalidArgumentError, field=f"expected.{part}"):
        make_unchecked(spec=spec, expected=expected)


NO_PARAMETERS = [True, None, 2**63, nan, inf, "", "\udfff", [1], np.int64(3), b"a"]
NO_DIGESTS = [
    *("", "sha256:", "0" * 64, "md5:" + "0" * 64, "sha256:" + "A" * 64, "sha256:" + "0" * 65)
]
NO_MOMENTS = [
    *("", "now", "2026-11-23", "2026-11-23T10:00:00", "2026-11-23 10:00:00Z"),
    *("2026-11-23T10:00:00.5Z", "2026-11-23T10:00:00+00:00", "2026-02-30T10:00:00Z"),
    *("2026-11-23T25:00:00Z", "２026-11-23T10:00:00Z"),  # noqa: RUF001
]


@pytest.mark.parametrize(
    ("make", "field", "values"),
    [
        (sealed.origin, "method", ["", "\ud800"]),
        (sealed.origin, "seed", [2**63, -(2**63) - 1, True, 1.0]),
        *((sealed.origin, "weights_digest", NO_DIGESTS), (sealed.origin, "created", NO_MOMENTS)),
        (sealed.origin, "harmless_answers", [-1, 2**63]),
        *((sealed.enrolment, "endpoint", [""]), (sealed.enrolment, "created", NO_MOMENTS)),
        (sealed.enrolment, "alpha", [0.0, 1.0, nan]),
        *((sealed.enrolment, "repeats", [0, 10**6 + 1]), (sealed.enrolment, "asked", [2])),
        *((sealed.enrolment, "otherwise", [(True,)]), (sealed.limit, "family", [""])),
        *((sealed.limit, "draws", [0, 10_001]), (sealed.limit, "noticed", [-1, 21])),
        (sealed.limit, "level", [0.5, 0.0, -1.0, inf, nan]),
    ],
)
def test_a_part_that_could_not_be_written_is_refused_with_its_field(make, field, values):
    for value in values:
        with refuses(InvalidArgumentError, field=field):
            unchecked(make, **{field: value})


def unchecked(make, **changes):
    """A value of the class that `make` makes, past the types of the constructor."""
    good = make()
    made = object.__new__(type(good))
    for field in dataclasses.fields(good):
        object.__setattr__(made, field.name, changes.get(field.name, getattr(good, field.name)))
    made.__post_init__()


@pytest.mark.parametrize(
    ("make", "changes", "field"),
    [
        (sealed.origin, {"parameters": {"": 1}}, "parameters.''"),
        (sealed.origin, {"packages": {"numpy": ""}}, "packages.numpy"),
        (sealed.origin, {"packages": {"": "1"}}, "packages.''"),
        (sealed.origin, {"variants": ("a", "")}, "variants[1]"),
        (sealed.enrolment, {"differing": (0, -1, 0)}, "differing[1]"),
        (sealed.enrolment, {"differing": (0, 0, 15)}, "differing[2]"),
        (sealed.enrolment, {"repeats": 5, "differing": (3, 0, 0)}, "differing[0]"),
        (sealed.limit, {"unit": "", "level": 1.0}, "unit"),
        (sealed.limit, {"unit": "x"}, "level"),
        (sealed.limit, {"unit": "x", "level": 0.0}, "level"),
        (sealed.limit, {"fixed": True}, "draws"),
        *((sealed.origin, {"parameters": {"a": each}}, "parameters.a") for each in NO_PARAMETERS),
    ],
)
def test_a_wrong_entry_of_a_part_is_refused_with_its_place(make, changes, field):
    with refuses(InvalidArgumentError, field=field):
        unchecked(make, **changes)


def test_what_lies_on_the_border_is_taken():
    good = {"a": "é", "b": 0, "c": -(2**63), "d": 2**63 - 1, "e": 0.0, "f": -1.5e300}
    assert sealed.origin(parameters=good).parameters == good
    assert sealed.enrolment(repeats=5, differing=(2, 0, 0)).differing == (2, 0, 0)
    moves = np.array([0.1, 0.3, 0.7])
    assert sealed.fingerprint(margins=moves * 10 * (1 - 1e-15), moves=moves).factor == 10


@given(st.datetimes())
def test_every_moment_in_utc_is_one(moment):
    text = moment.strftime("%Y").zfill(4) + moment.strftime("-%m-%dT%H:%M:%SZ")
    assert sealed.origin(created=text).created == text


@pytest.mark.parametrize(
    ("answers", "bound"), [(0, 1.0), (1, 1.0), (3, 1.0), (300, 0.01), (3000, 0.001)]
)
def test_the_false_alarm_bound_follows_the_rule_of_three(answers, bound):
    made = sealed.fingerprint(origin=sealed.origin(harmless_answers=answers))
    assert made.false_alarm_bound == bound
    # At the bound, seeing no alarm in so many answers has a chance of 5 % at most.
    assert answers == 0 or (1 - bound) ** answers <= 0.05


@given(rows=st.lists(st.integers(0, 4), min_size=1, max_size=8), spec=st.sampled_from(sealed.SPECS))
def test_taking_samples_takes_every_part_of_each(rows, spec):
    whole = sealed.fingerprint(count=5, spec=spec, names=("a", "b", "c", "d", "e"))
    part = whole.take(np.array(rows))
    assert len(part) == len(rows)
    for place, row in enumerate(rows):
        assert np.array_equal(part.samples[place], whole.samples[row])
        assert part.expected.describe(place) == whole.expected.describe(row)
        for name in ("margins", "moves", "psnr", "sources"):
            assert getattr(part, name)[place] == getattr(whole, name)[row]
    for name in ("domain", "spec", "classes", "names", "factor", "origin"):
        assert getattr(part, name) == getattr(whole, name)


def test_some_samples_keep_their_neighbours_and_enrollment_but_have_no_power():
    made = sealed.fingerprint(
        neighbours=sealed.NEIGHBOURS[:3], enrollment=sealed.enrolment(), power=sealed.LIMITS
    )
    few = made.take(np.array([2, 1]))
    assert few.neighbours.tolist() == sealed.NEIGHBOURS[[2, 1]].tolist()
    assert (few.enrollment.differing, few.enrollment.otherwise) == ((1, 2), (False, True))
    assert (few.enrollment.asked, few.enrollment.repeats) == (5, 30)
    # It was measured for all of them together.
    assert (made.power, few.power) == (sealed.LIMITS, ())


@pytest.mark.parametrize(
    ("rows", "field"),
    [
        *((np.array([0, 3]), "rows[1]"), (np.array([-1]), "rows[0]")),
        *((np.array([True, False, True]), "rows"), (np.array([[0]]), "rows")),
        (np.array([], int), "samples"),
    ],
)
def test_samples_that_are_not_there_cannot_be_taken(rows, field):
    with refuses(InvalidArgumentError, field=field):
        sealed.fingerprint().take(rows)


@given(
    codes=st.lists(st.integers(0, 15), min_size=4, max_size=4),
    moves=st.lists(st.integers(-6, 6), min_size=1, max_size=4),
)
def test_neighbours_are_refused_exactly_if_a_face_would_be_no_valid_input_or_come_twice(
    codes, moves
):
    sample, rows = np.array([codes], np.uint8).reshape(1, 2, 2), np.array([moves])
    some = [move for move in moves if move]
    valid = len(set(some)) == len(some) and all(
        abs(move) <= 4 and 0 <= codes[abs(move) - 1] + np.sign(move) <= 15 for move in some
    )
    if not valid:
        with refuses(InvalidArgumentError):
            check_neighbours(rows, sample, SMALL)
        return
    check_neighbours(rows, sample, SMALL)
    faces = list_faces(sample, rows[0])
    SMALL.check(faces)
    assert len({face.tobytes() for face in faces}) == len(faces) == 1 + len(some)


@given(st.data(), st.integers(1, 60))
def test_the_share_noticed_at_the_least_is_rounded_down_to_six_digits(data, draws):
    noticed = data.draw(st.integers(0, draws))
    found = sealed.limit(noticed=noticed, draws=draws).at_least
    assert found == round(found, 6) <= noticed / draws
    assert (found >= 0.95) is (noticed == draws >= 59)


def test_twenty_of_twenty_are_86_per_cent_and_without_chance_it_is_all_or_nothing():
    assert sealed.limit().at_least == 0.860891
    assert [sealed.limit(noticed=n, draws=1, fixed=True).at_least for n in (0, 1)] == [0, 1]


@pytest.mark.parametrize(
    ("level", "text"),
    [
        *((2.0**-14, "2^-14"), (0.5, "2^-1"), (2.0, "2^1"), (1.0, "1"), (0.3, "0.3")),
        *((3e-7, "3e-07"), (5e-324, "2^-1074")),
    ],
)
def test_a_level_is_shown_as_a_power_of_two_if_it_is_one(level, text):
    assert format_level(level) == text


def test_a_power_tells_apart_what_was_noticed_always_in_part_and_never():
    assert format_power(sealed.LIMITS) == (
        "Gaussian noise from 2^-14 of each layer's spread (20 of 20), rounded to bfloat16; "
        "in part: a flipped sign bit (17 of 20); not: pruning from 2^-1 of all weights"
    )
    assert format_power(sealed.LIMITS[1:2]) == "in part: a flipped sign bit (17 of 20)"
    assert format_power(()) == ""
