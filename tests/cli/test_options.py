import pytest

from modelseal import sealing
from modelseal.cli import options
from modelseal.outputs.answers import Kind


@pytest.mark.parametrize("name", ["Method"])
def test_the_choices_are_those_of_sealing(name):
    ours, theirs = getattr(options, name), getattr(sealing, name)
    assert {one.name: one.value for one in ours} == {one.name: one.value for one in theirs}


def test_an_endpoint_s_numbers_are_every_kind_of_answer_but_labels():
    kinds = {one.name: one.value for one in options.Shows}
    assert kinds == {one.name: one.value for one in Kind if one is not Kind.LABELS}


def test_the_largest_seed_fits_into_a_fingerprint():
    import sealed

    assert sealed.origin(seed=options.LARGEST_SEED).seed == 2**63 - 1
