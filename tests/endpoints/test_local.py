import numpy as np
import pytest

from modelseal.domain import Domain
from modelseal.endpoints.endpoint import CallableEndpoint
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.outputs.answers import Kind

DOMAIN = Domain(shape=(2,), bounds=(0.0, 1.0))
CODES = np.array([[0, 255], [51, 102]], np.uint8)


def test_the_function_gets_the_decoded_batch_and_its_scores_are_the_answer():
    seen = []

    def function(inputs):
        seen.append(inputs)
        return inputs * 2

    shown = CallableEndpoint(function, DOMAIN).ask(CODES)
    assert shown.kind is Kind.SCORES
    assert len(seen) == 1
    assert seen[0].dtype == np.float32
    assert np.array_equal(seen[0], DOMAIN.decode(CODES))
    assert np.array_equal(shown.values, DOMAIN.decode(CODES) * 2)


@pytest.mark.parametrize("fault", [RuntimeError, ValueError])
def test_a_function_that_fails_gives_no_usable_answer(fault):
    def function(inputs):
        raise fault("mat1 and mat2 do not fit")

    with pytest.raises(EndpointError, match="the function failed: mat1 and mat2 do not fit"):
        CallableEndpoint(function, DOMAIN).ask(CODES)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([[1.0, 2.0]], "list"),
        (None, "NoneType"),
        (np.ones((2, 3), bool), "bool"),
        (np.ones((1, 3)), r"scores of shape \(2, at least 1\) were wanted, but shape \(1, 3\)"),
        (np.full((2, 3), np.nan), "finite numbers were wanted"),
    ],
)
def test_what_is_no_scores_is_refused(scores, message):
    with pytest.raises(EndpointError, match=message):
        CallableEndpoint(lambda _: scores, DOMAIN).ask(CODES)


def test_codes_of_another_domain_are_the_callers_mistake():
    with pytest.raises(InvalidArgumentError, match="inputs need shape"):
        CallableEndpoint(pytest.fail, DOMAIN).ask(np.zeros((1, 3), np.uint8))
