from dataclasses import replace

import pytest

from modelseal.endpoints.responses import Labelling, Layout, Numbers, Shown
from modelseal.errors import EndpointError
from modelseal.outputs.answers import Kind

NAMES = ("cat", "dog", "elk", "fox")
L, N = Layout, Numbers


def shown(layout=None, numbers=N.SCORES, **more):
    return Shown(
        labelling=Labelling(classes=4, names=NAMES, **more), layout=layout, numbers=numbers
    )


def parts(answer):
    columns = (answer.labels, answer.values)
    return answer.kind, *(None if part is None else part[0].tolist() for part in columns)


@pytest.mark.parametrize(
    ("layout", "numbers", "entry", "kind", "labels", "values"),
    [
        (None, N.SCORES, [1, -2.5, 3, 4], Kind.SCORES, None, [1, -2.5, 3, 4]),
        (None, N.PROBABILITIES, [0, 1.0, 0, 0], Kind.PROBABILITIES, None, [0, 1, 0, 0]),
        (None, N.PERCENT, [12.34, 80, 7.66, 0], Kind.PROBABILITIES, None, [0.1234, 0.8, 0.0766, 0]),
        (None, N.SCORES, 2, Kind.LABELS, [2], None),
        (None, N.SCORES, "dog", Kind.LABELS, [1], None),
        (None, N.SCORES, ["dog", "cat"], Kind.LABELS, [1, 0], None),
        (L.LABELS, N.SCORES, [3, 1], Kind.LABELS, [3, 1], None),
        (L.LABELS, N.SCORES, [3, 1, 0, 2], Kind.LABELS, [3, 1, 0, 2], None),
        (None, N.PERCENT, [70, 20, 10, 0], Kind.PROBABILITIES, None, [0.7, 0.2, 0.1, 0]),
        (L.SCORES, N.SCORES, [3, 1, 0, 2], Kind.SCORES, None, [3, 1, 0, 2]),
        (None, N.SCORES, {"dog": 1, "cat": 3}, Kind.LABELS, [0, 1], None),
        (None, N.PROBABILITIES, {"dog": 0.2, "cat": 0.7}, Kind.LABELS, [0, 1], [0.7, 0.2]),
        (None, N.PERCENT, {"fox": 25, "1": 50}, None, None, None),
        (None, N.SCORES, {"fox": 4, "elk": 3, "dog": 2, "cat": 1}, Kind.SCORES, None, [1, 2, 3, 4]),
        (
            None,
            N.PROBABILITIES,
            [{"label": "elk", "score": 0.1}, {"score": 0.8, "label": "fox", "more": 1}],
            Kind.LABELS,
            [3, 2],
            [0.8, 0.1],
        ),
        (None, N.SCORES, [["elk", 1], [0, 2]], Kind.LABELS, [0, 2], None),
        (
            L.COLUMNS,
            N.PERCENT,
            {"labels": [2, 0], "scores": [50, 25]},
            Kind.LABELS,
            [2, 0],
            [0.5, 0.25],
        ),
    ],
)
def test_every_layout_is_read_as_what_it_shows(layout, numbers, entry, kind, labels, values):
    if kind is None:
        with pytest.raises(EndpointError, match="the name of a class was wanted, but '1' came"):
            shown(layout, numbers).read(entry)
        return
    assert parts(shown(layout, numbers).read(entry)) == (kind, labels, values)


def test_labels_that_share_a_place_end_the_list_before_them():
    answer = shown(numbers=N.PROBABILITIES).read({"dog": 0.3, "cat": 0.4, "elk": 0.3})
    assert parts(answer) == (Kind.LABELS, [0], [0.4])
    with pytest.raises(EndpointError, match="two labels share the first place"):
        shown().read({"dog": 0.5, "cat": 0.5})


def test_all_classes_may_share_places_for_the_spec_to_judge():
    answer = shown().read({"dog": 1, "cat": 1, "elk": 1, "fox": 1})
    assert parts(answer) == (Kind.SCORES, None, [1, 1, 1, 1])


def test_classes_counted_from_1_are_counted_from_0_here():
    assert parts(shown(first=1).read(1)) == (Kind.LABELS, [0], None)


@pytest.mark.parametrize(
    ("layout", "entry", "message"),
    [
        (None, None, "labels or scores were wanted, but nothing came"),
        (None, 1.5, "labels or scores were wanted, but 1.5 came"),
        (None, True, "a label from 0 to 3 was wanted, but true came"),
        (None, [3, 1, 0, 2], "4 whole numbers came, which may be scores or labels: `layout` must"),
        (None, [[0.1, 0.2, 0.3, 0.4]], "but a list around one came: `select` or `layout` must"),
        (None, [1, 2, 3, 10**400], "4 whole numbers came"),
        (None, [], "4 scores were wanted, but 0 came"),
        (None, [1, 2, 3], "4 scores were wanted, but 3 came"),
        (None, [1, 2, 3, "4"], 'a number was wanted, but "4" came'),
        (None, [1, 2, 3, None], "a number was wanted, but nothing came"),
        (L.SCORES, [1, 2, 3, 10**400], "not larger"),
        (None, {}, "at least one label was wanted, but none came"),
        (None, {"bird": 1}, "the name of a class was wanted, but 'bird' came"),
        (None, {"cat": "1"}, 'a number was wanted, but "1" came'),
        (None, [{"label": "cat"}], "a label and a score were wanted, but an object came"),
        (None, [["cat", 1, 2]], "a label and a score were wanted, but a list came"),
        (None, [["cat", 1], ["cat", 2]], 'different labels were wanted, but "cat" came twice'),
        (None, [["cat", 1], [0, 2]], "different labels were wanted"),
        (None, ["cat"] * 5, "4 labels at most were wanted, but 5 came"),
        (L.SCORES, {"cat": 1}, "a list of scores was wanted, but an object came"),
        (L.MAP, [1, 2, 3, 4], "an object of labels with their scores was wanted, but a list came"),
        (L.PAIRS, {"cat": 1}, "a list of labels with their scores was wanted, but an object"),
        (L.COLUMNS, {"labels": [0]}, "scores: a list was wanted, but nothing came"),
        (L.COLUMNS, {"labels": [0], "scores": [1, 2]}, "1 scores were wanted, but 2 came"),
        (L.LABELS, [], "at least one label was wanted"),
        (L.LABELS, {}, "a label from 0 to 3 was wanted, but an object came"),
    ],
)
def test_what_is_laid_out_otherwise_is_no_answer(layout, entry, message):
    with pytest.raises(EndpointError, match=message):
        shown(layout).read(entry)


def test_one_label_with_its_score_is_not_guessed_where_it_may_be_the_scores_of_two_classes():
    binary = Shown(labelling=Labelling(classes=2), layout=None, numbers=N.SCORES)
    with pytest.raises(EndpointError, match="but a list around one came"):
        binary.read([[0, 1]])
    assert parts(replace(binary, layout=L.PAIRS).read([[0, 1]])) == (Kind.LABELS, [0], None)
    named = replace(binary, labelling=Labelling(classes=2, names=("cat", "dog")))
    assert parts(named.read([["dog", 0.5]])) == (Kind.LABELS, [1], None)
