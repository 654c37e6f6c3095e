import pytest

from modelseal.errors import BadFileError
from modelseal.fingerprint.sigstore_bundles import told


def test_what_the_library_says_of_a_token_is_not_passed_on():
    proof = "proof"
    with (
        pytest.raises(BadFileError, match=r"^a: b, but no \*\*\* here$"),
        told("a", "b", secret=proof),
    ):
        raise RuntimeError(f"no\n {proof} here")


def test_a_long_problem_is_cut():
    with pytest.raises(BadFileError) as caught, told("a", "b"):
        raise ValueError("x" * 1000)
    assert str(caught.value) == f"a: b, but {'x' * 300}..."


def test_what_the_library_says_may_be_replaced():
    with (
        pytest.raises(BadFileError, match=r"^a: b, but this is none$"),
        told("a", "b", reason="this is none"),
    ):
        raise ValueError("2 validation errors")


def test_an_error_without_a_word_passes_on_its_cause():
    with pytest.raises(BadFileError, match=r"^a: b, but no luck$"), told("a", "b"):
        raise RuntimeError from ValueError("no luck")
