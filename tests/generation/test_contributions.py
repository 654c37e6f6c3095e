import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modelseal.research.layer_kinds import Direct, Factors, join, square_sum


def factors(*, sizes, seed=0):
    batch, groups, directions, outside, inside, positions = sizes
    source = torch.Generator().manual_seed(seed)
    return Factors(
        slopes=torch.randn(batch, groups, directions, outside, positions, generator=source),
        features=torch.randn(batch, groups, inside, positions, generator=source),
    )


def multiply_out(made):
    """The derivative of each input and direction, product by product."""
    return torch.einsum("bgdmt,bgnt->bdgmn", made.slopes, made.features).flatten(2)


SIZES = st.tuples(*[st.integers(1, 4)] * 6)


@given(SIZES)
def test_the_sum_is_that_of_the_outer_products(sizes):
    made = factors(sizes=sizes)
    torch.testing.assert_close(made.add_up().values, multiply_out(made))


@given(SIZES)
def test_the_ghost_of_a_sum_is_as_long_as_the_sum(sizes):
    made = factors(sizes=sizes)
    wanted = multiply_out(made).square().sum(2)
    torch.testing.assert_close(made.square(), wanted, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(square_sum([made]), wanted, rtol=1e-4, atol=1e-4)


def test_the_cheaper_form_is_taken(monkeypatch):
    few, many = factors(sizes=(1, 1, 1, 30, 40, 2)), factors(sizes=(1, 1, 1, 3, 4, 50))
    assert few.ghostly
    assert not many.ghostly
    monkeypatch.setattr(Factors, "add_up", None)
    assert square_sum([few]).shape == (1, 1)
    monkeypatch.undo()
    monkeypatch.setattr(Factors, "square", None)
    assert square_sum([many]).shape == (1, 1)


@pytest.mark.parametrize("positions", [2, 60])
def test_two_uses_of_a_layer_are_more_positions_of_one_sum(positions):
    one, two = (factors(sizes=(2, 1, 3, 4, 5, positions), seed=seed) for seed in (1, 2))
    wanted = (multiply_out(one) + multiply_out(two)).square().sum(2)
    assert isinstance(join([one, two]), Factors)
    torch.testing.assert_close(square_sum([one, two]), wanted)


def test_uses_of_unlike_layers_are_added_up():
    one, two = factors(sizes=(2, 1, 3, 4, 6, 2)), factors(sizes=(2, 2, 3, 2, 6, 2), seed=1)
    other = Direct(values=torch.ones(2, 3, 24))
    wanted = (multiply_out(one) + multiply_out(two) + 1).square().sum(2)
    torch.testing.assert_close(square_sum([one, two, other]), wanted)
    torch.testing.assert_close(square_sum([other, other]), torch.full((2, 3), 96.0))
