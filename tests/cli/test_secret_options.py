from modelseal.cli.options import KeyPurpose
from modelseal.fingerprint.signatures import Purpose


def test_the_purposes_are_those_of_keys():
    assert {each.name: each.value for each in KeyPurpose} == {
        each.name: each.value for each in Purpose
    }
