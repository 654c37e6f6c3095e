"""Projections onto the sets in which a sample has to lie, for each input by itself.

The box and the levels are projected onto by `Domain.clamp` and `Domain.snap`.
"""

from torch import Tensor

from modelseal.generation.shapes import Inputs


def project_l2(inputs: Inputs, centre: Inputs, *, radius: float) -> Inputs:
    """The nearest inputs within Euclidean distance `radius` of the centre.

    Args:
        inputs: Inputs to be moved.
        centre: The middle of each input's ball.
        radius: The largest allowed ||x - centre||_2, in the domain's units, above 0.
    """
    offset = inputs - centre
    length = offset.flatten(1).norm(dim=1).clamp(min=radius)
    share: Tensor = radius / length
    return centre + offset * share.view(-1, *[1] * (inputs.dim() - 1))


def project_linf(inputs: Inputs, centre: Inputs, *, radius: float) -> Inputs:
    """The nearest inputs none of whose values is more than `radius` from the centre's.

    Args:
        inputs: Inputs to be moved.
        centre: The middle of each input's cube.
        radius: The largest allowed |x - centre| of a value, in the domain's units, above 0.
    """
    return centre + (inputs - centre).clamp(-radius, radius)
