import dataclasses

import numpy as np
import pytest
import sealed
from hypothesis import given
from hypothesis import strategies as st

from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.record import Fingerprint
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.specs import Probabilities, RawScores, TopLabels, TopProbabilities

LABELS = np.array([[1], [0], [4]])


@pytest.mark.parametrize("spec", sealed.SPECS, ids=str)
@pytest.mark.parametrize("domain", sealed.DOMAINS, ids=str)
def test_every_spec_and_domain_can_be_sealed(domain, spec):
    assert len(sealed.fingerprint(domain=domain, spec=spec, count=4)) == 4


UNSAID = {"names": (), "power": (), "neighbours": None, "enrollment": None}


def make_unchecked(**changes):
    """A fingerprint past the types of the constructor, which are checked in tests only."""
    made = object.__new__(Fingerprint)
    for name, value in {**UNSAID, **sealed.fields(**changes)}.items():
        object.__setattr__(made, name, value)
    made.__post_init__()


def labels(rows):
    return Answers(kind=Kind.LABELS, labels=np.array(rows))


WRONG = [
    ({"samples": np.zeros((3, 7), np.uint8)}, r"^samples: inputs need shape \(batch, 2, 3\)"),
    ({"samples": np.zeros((3, 2, 3), np.float32)}, "^samples: .* type uint8"),
    ({"samples": np.zeros((0, 2, 3), np.uint8)}, "^samples: at least one sample was wanted"),
    ({"classes": 0, "expected": labels(LABELS)}, "^classes: a whole number from 1"),
    ({"spec": TopLabels(6), "expected": labels(LABELS)}, "^spec: 6 labels need as many classes"),
    ({"names": ("a", "b")}, "^names: one name for each of 5 classes was wanted, but 2 came"),
    ({"names": ("a", "b", "c", "", "e")}, r"^names\[3\]: a text was wanted"),
    ({"expected": labels(LABELS[:2])}, r"^expected.labels: .* \(3, 1\) was wanted, but \(2, 1\)"),
    ({"expected": labels([[1], [0], [5]])}, r"^expected.labels\[2\]\[0\]: a label below 5"),
    ({"expected": labels([[-1], [0], [4]])}, r"^expected.labels\[0\]\[0\]: .* but -1 came"),
    ({"expected": labels([[0, 1]] * 3)}, "^expected.labels: an array of shape"),
    ({"spec": TopLabels(2), "expected": labels([[0, 0]] * 3)}, "^expected: .* one came twice"),
    (
        {"expected": Answers(kind=Kind.SCORES, values=np.zeros((3, 5)))},
        "^expected: labels were wanted, but scores came",
    ),
    (
        {"expected": Answers(kind=Kind.LABELS, labels=LABELS, values=np.ones((3, 1)))},
        "^expected.values: an array of shape none was wanted",
    ),
    (
        {"spec": TopProbabilities(1, 2), "expected": labels(LABELS)},
        r"^expected.values: .* \(3, 1\) was wanted, but none came",
    ),
    (
        {
            "spec": Probabilities(1),
            "expected": Answers(kind=Kind.PROBABILITIES, values=np.full((3, 5), 0.21)),
        },
        r"^expected.values\[0\]\[0\]: a value as probs:1 shows it was wanted, but 0.21 came",
    ),
    (
        {
            "spec": Probabilities(1),
            "expected": Answers(kind=Kind.PROBABILITIES, values=np.full((3, 5), 0.9)),
        },
        "^expected: probabilities that add up to 1",
    ),
    (
        {
            "spec": RawScores(0.5),
            "expected": Answers(kind=Kind.SCORES, values=np.full((3, 5), np.nan)),
        },
        "^expected: finite numbers were wanted",
    ),
    ({"margins": np.array([1.0, 2.0])}, "^margins: 3 floating-point numbers were wanted"),
    ({"margins": np.array([1, 2, 3])}, "^margins: .* type int64"),
    ({"margins": np.array([1.0, 0.0, 1.0])}, r"^margins\[1\]: a positive finite number"),
    ({"margins": np.array([1.0, 1.0, np.nan])}, r"^margins\[2\]: .* but nan came"),
    ({"margins": np.array([np.inf, 1.0, 1.0])}, r"^margins\[0\]: .* but inf came"),
    ({"moves": np.array([0.0, -0.1, 0.0])}, r"^moves\[1\]: a finite number from 0"),
    ({"moves": np.array([0.0, np.nan, 0.0])}, r"^moves\[1\]: a finite number from 0"),
    ({"moves": np.array([[0.0, 0.0, 0.0]])}, "^moves: 3 floating-point numbers"),
    ({"moves": np.array([0.0, 0.2, 0.0])}, r"^margins\[1\]: .* at least 10.0 times the sample's"),
    ({"factor": 0.5}, "^factor: a finite number from 1 was wanted, but 0.5 came"),
    ({"factor": np.nan}, "^factor: .* but nan came"),
    ({"factor": np.inf}, "^factor: .* but inf came"),
    ({"psnr": np.array([40.0, np.nan, 40.0])}, r"^psnr\[1\]: a ratio in dB"),
    ({"psnr": np.array([40.0, 40.0, -np.inf])}, r"^psnr\[2\]: a ratio in dB"),
    ({"psnr": np.array([40.0])}, "^psnr: 3 floating-point"),
    ({"sources": np.array([0, -1, 2])}, r"^sources\[1\]: a 64-bit number from 0"),
    ({"sources": np.array([0, 1, 2**63], np.uint64)}, r"^sources\[2\]: a 64-bit number"),
    ({"sources": np.array([0.0, 1.0, 2.0])}, "^sources: 3 whole numbers"),
    ({"enrollment": sealed.enrolment(), "count": 4}, "^enrolment.differing: 4 numbers were wanted"),
    ({"neighbours": sealed.NEIGHBOURS}, "^neighbours: 3 rows were wanted, but 4 came"),
    ({"neighbours": np.zeros((3, 0), int)}, r"^neighbours: one row .* \(3, 0\)"),
    ({"neighbours": np.zeros(3, int)}, r"^neighbours: one row .* \(3,\)"),
    ({"neighbours": np.ones((3, 1))}, "^neighbours: one row .* float64"),
    (
        {"neighbours": np.full((3, 1), 7)},
        r"^neighbours\[0\]\[0\]: 0 or a place from 1 to 6 .* but 7 came",
    ),
    ({"neighbours": np.full((3, 1), -1)}, r"^neighbours\[0\]\[0\]: a step to a level .* but -1"),
    ({"neighbours": np.full((3, 2), 2)}, r"^neighbours\[0\]\[0\]: each neighbour once .* but 2"),
    (
        {"domain": sealed.DOMAINS[2], "neighbours": np.ones((3, 1), int)},
        "^neighbours: levels were wanted, but the domain has none",
    ),
    (
        {"power": (*sealed.LIMITS, sealed.LIMITS[1])},
        r"^power\[4\].family: each family was wanted once, but 'a flipped sign bit' came twice",
    ),
]


@pytest.mark.parametrize(("changes", "problem"), WRONG, ids=range(len(WRONG)))
def test_a_fingerprint_that_could_not_be_judged_is_refused_with_its_field(changes, problem):
    with pytest.raises(InvalidArgumentError, match=problem):
        make_unchecked(**changes)


@pytest.mark.parametrize("part", ["labels", "values"])
def test_expected_numbers_of_another_kind_are_refused(part):
    spec = TopProbabilities(1, 2)
    expected = spec.reveal(np.eye(5)[:3])
    kind = float if part == "labels" else int
    object.__setattr__(expected, part, getattr(expected, part).astype(kind))
    with pytest.raises(InvalidArgumentError, match=f"^expected.{part}: numbers like"):
        make_unchecked(spec=spec, expected=expected)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"method": ""}, "^origin.method: a text was wanted"),
        ({"parameters": {"tie": np.inf}}, "^origin.parameters.tie: .* but inf came"),
        ({"parameters": {"": 1}}, "^origin.parameters.'': a text was wanted"),
        ({"seed": 2**63}, "^origin.seed: a whole number from"),
        ({"weights_digest": "sha256:0"}, "^origin.weights_digest: "),
        ({"packages": {"numpy": ""}}, "^origin.packages.numpy: "),
        ({"packages": {"": "1"}}, "^origin.packages.'': "),
        ({"created": "yesterday"}, "^origin.created: "),
        ({"variants": ("a", "")}, r"^origin.variants\[1\]: "),
        ({"harmless_answers": -1}, "^origin.harmless_answers: "),
    ],
)
def test_an_origin_that_could_not_be_written_is_refused_with_its_field(changes, problem):
    with pytest.raises(InvalidArgumentError, match=problem):
        sealed.origin(**changes)


def test_a_margin_of_exactly_the_factor_times_the_move_is_enough():
    moves = np.array([0.1, 0.3, 0.7])
    made = sealed.fingerprint(margins=moves * 10 * (1 - 1e-15), moves=moves)
    assert made.factor == 10


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


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (np.array([0, 3]), r"^rows\[1\]: 0 to 2 was wanted, but 3 came"),
        (np.array([-1]), r"^rows\[0\]: 0 to 2 was wanted, but -1 came"),
        (np.array([True, False, True]), "a row of sample numbers was wanted, but bool"),
        (np.array([[0]]), r"of shape \(1, 1\) came"),
        (np.array([], int), "^samples: at least one sample"),
    ],
)
def test_samples_that_are_not_there_cannot_be_taken(rows, problem):
    with pytest.raises(InvalidArgumentError, match=problem):
        sealed.fingerprint().take(rows)


def test_a_part_of_the_samples_has_no_power_since_it_was_measured_for_all_of_them():
    whole = sealed.fingerprint(power=sealed.LIMITS)
    assert whole.power == sealed.LIMITS
    assert whole.take(np.arange(len(whole))).power == ()


def test_a_fingerprint_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
        sealed.fingerprint().factor = 1.0


def test_the_faces_of_a_sample_are_itself_and_its_neighbours_on_the_levels():
    made = sealed.fingerprint(count=4, neighbours=sealed.NEIGHBOURS)
    for number in range(4):
        faces = made.faces(number).astype(int)
        steps = [move for move in sealed.NEIGHBOURS[number] if move]
        assert (faces[0] == made.samples[number]).all()
        assert len(faces) == 1 + len(steps)
        for face, move in zip(faces[1:], steps, strict=True):
            change = (face - made.samples[number]).ravel()
            assert change[abs(move) - 1] == np.sign(move)
            assert np.abs(change).sum() == 1


def test_the_only_face_of_a_sample_without_neighbours_is_itself():
    assert (sealed.fingerprint().faces(1) == sealed.fingerprint().samples[[1]]).all()


def test_some_samples_keep_their_neighbours_and_their_enrolment():
    made = sealed.fingerprint(neighbours=sealed.NEIGHBOURS[:3], enrollment=sealed.enrolment())
    few = made.take(np.array([2, 1]))
    assert few.neighbours.tolist() == sealed.NEIGHBOURS[[2, 1]].tolist()
    assert (few.enrollment.differing, few.enrollment.otherwise) == ((1, 2), (False, True))
    assert few.enrollment.asked == 5
