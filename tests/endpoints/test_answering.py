import numpy as np
import pytest

from modelseal.endpoints.responses import answer, check_shows, join
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.outputs.answers import Answers, Kind


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_whole_numbers_are_labels_whether_or_not_they_have_a_second_axis(shape):
    shown = answer(np.array([4, 0, 9]).reshape(shape), count=3, shows=Kind.SCORES)
    assert shown.kind is Kind.LABELS
    assert shown.values is None
    assert shown.labels.tolist() == [[4], [0], [9]]


@pytest.mark.parametrize("dtype", ["int8", "int32", "uint8", "uint64"])
def test_labels_of_every_width_become_int64_in_their_order(dtype):
    shown = answer(np.array([[4, 0], [9, 1]], dtype), count=2, shows=Kind.PROBABILITIES)
    assert shown.labels.dtype == np.int64
    assert shown.labels.tolist() == [[4, 0], [9, 1]]


@pytest.mark.parametrize("kind", [Kind.SCORES, Kind.PROBABILITIES])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fractions_are_what_the_endpoint_is_said_to_show_in_their_own_type(kind, dtype):
    array = np.array([[0.25, 0.75]], dtype)
    shown = answer(array, count=1, shows=kind)
    assert (shown.kind, shown.labels) == (kind, None)
    assert shown.values.dtype == dtype
    assert shown.values.tolist() == array.tolist()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 10)), r"scores of shape \(3, at least 1\) were wanted, but shape \(2, 10\)"),
        (np.zeros((3, 0)), r"scores of shape .* but shape \(3, 0\)"),
        (np.zeros(3), r"scores of shape .* but shape \(3,\)"),
        (np.zeros((3, 10, 1)), r"scores of shape .* but shape \(3, 10, 1\)"),
        (np.zeros(2, int), r"labels of shape \(3, at least 1\) were wanted, but shape \(2, 1\)"),
        (np.zeros((3, 1, 1), int), r"labels of shape .* but shape \(3, 1, 1\)"),
        (np.zeros((3, 0), np.uint64), r"labels of shape .* but shape \(3, 0\)"),
        (np.array(7), r"labels of shape .* but shape \(\)"),
        (np.array([["a"]] * 3), "numbers were wanted, but <U1 came"),
        (np.zeros((3, 2), bool), "numbers were wanted, but bool came"),
        (np.full((3, 1), 2**63, np.uint64), "labels were wanted, but 9223372036854775808 came"),
        (np.full((3, 2), np.nan), "finite numbers were wanted"),
        (np.full((3, 2), np.inf), "finite numbers were wanted"),
    ],
)
def test_an_array_that_is_no_answer_is_refused(array, message):
    with pytest.raises(EndpointError, match=message):
        answer(array, count=3, shows=Kind.SCORES)


def test_joined_batches_keep_order_labels_and_values():
    labels = np.array([[1, 2], [3, 4], [5, 6]])
    whole = Answers(kind=Kind.LABELS, labels=labels, values=labels / 10)
    joined = join([whole.take(np.array([0])), whole.take(np.array([1, 2]))])
    assert joined.kind is Kind.LABELS
    assert np.array_equal(joined.labels, whole.labels)
    assert np.array_equal(joined.values, whole.values)


def test_joined_scores_have_no_labels():
    part = Answers(kind=Kind.SCORES, values=np.ones((2, 3)))
    assert join([part, part]).labels is None
    assert join([part, part]).values.shape == (4, 3)


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [
            Answers(kind=Kind.SCORES, values=np.ones((1, 3))),
            Answers(kind=Kind.PROBABILITIES, values=np.ones((1, 3))),
        ],
        [
            Answers(kind=Kind.SCORES, values=np.ones((1, 3))),
            Answers(kind=Kind.SCORES, values=np.ones((1, 2))),
        ],
        [
            Answers(kind=Kind.LABELS, labels=np.ones((1, 2), int)),
            Answers(kind=Kind.LABELS, labels=np.ones((1, 2), int), values=np.ones((1, 2))),
        ],
    ],
)
def test_batches_that_do_not_show_the_same_are_refused(parts):
    with pytest.raises(EndpointError, match="answers of one form were wanted"):
        join(parts)


def test_numbers_with_a_fraction_cannot_be_labels():
    with pytest.raises(InvalidArgumentError, match="shows needs scores or probabilities"):
        check_shows(Kind.LABELS)
