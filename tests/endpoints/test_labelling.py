import pytest

from modelseal.endpoints.responses import Labelling, Naming
from modelseal.errors import EndpointError, InvalidArgumentError

NAMES = ("cat", "dog", "1")


@pytest.mark.parametrize(
    ("settings", "label", "index"),
    [
        ({}, 2, 2),
        ({}, "2", 2),
        ({"first": 1}, 1, 0),
        ({"first": 1}, "3", 2),
        ({"first": -1}, -1, 0),
        ({"names": NAMES}, "dog", 1),
        ({"names": NAMES}, "1", 2),
        ({"names": NAMES}, 1, 1),
        ({"names": NAMES, "naming": Naming.INDEX}, "1", 1),
        ({"names": NAMES, "naming": Naming.NAME}, "1", 2),
    ],
)
def test_a_label_is_found_by_number_or_name(settings, label, index):
    assert Labelling(classes=3, **settings).index(label) == index


@pytest.mark.parametrize(
    ("settings", "label", "message"),
    [
        ({}, 3, "a label from 0 to 2 was wanted, but 3 came"),
        ({}, -1, "a label from 0 to 2 was wanted, but -1 came"),
        ({}, 1.0, "but 1.0 came"),
        ({}, True, "but true came"),
        ({}, None, "but nothing came"),
        ({}, [1], "but a list came"),
        ({}, "cat", 'but "cat" came'),
        ({}, "²", r"but .* came"),
        ({}, "9" * 5000, "but .* came"),
        ({"first": 1}, 0, "a label from 1 to 3 was wanted, but 0 came"),
        ({"names": NAMES}, "bird", "the name of a class was wanted, but 'bird' came"),
        ({"names": NAMES}, "Cat", "the name of a class was wanted, but 'Cat' came"),
        ({"names": NAMES, "naming": Naming.NAME}, 1, "the name of a class was wanted, but 1 came"),
        ({"names": ("a", "a", "b")}, "a", "a name of one class was wanted, but 'a' is that of 2"),
    ],
)
def test_an_unknown_label_is_no_answer(settings, label, message):
    with pytest.raises(EndpointError, match=message):
        Labelling(classes=3, **settings).index(label)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"names": ("a", "b")}, "one name for each of 3 classes was wanted, but 2 came"),
        ({"naming": Naming.NAME}, "labels are names, but nobody says what the names are"),
    ],
)
def test_names_that_do_not_fit_the_classes_are_refused(settings, message):
    with pytest.raises(InvalidArgumentError, match=message):
        Labelling(classes=3, **settings)
