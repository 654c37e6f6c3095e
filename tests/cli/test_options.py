from modelseal.cli import options
from modelseal.outputs.answers import Kind
from modelseal.sealing.methods import METHODS


def test_the_help_names_every_built_in_method():
    (option,) = options.MethodOption.__metadata__
    words = option.help.split(": ")[1].split(", ")
    assert set(words[:-1]) == set(METHODS.names())


def test_an_endpoint_s_numbers_are_every_kind_of_answer_but_labels():
    kinds = {one.name: one.value for one in options.Shows}
    assert kinds == {one.name: one.value for one in Kind if one is not Kind.LABELS}


def test_the_largest_seed_fits_into_a_fingerprint():
    import sealed

    assert sealed.origin(seed=options.LARGEST_SEED).seed == 2**63 - 1
