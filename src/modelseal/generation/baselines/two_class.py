"""A rival to compare with: inputs on the boundary between two classes."""

import torch
from torch import Tensor, nn

from modelseal.domain import Domain
from modelseal.generation.baselines import check_at_least
from modelseal.generation.gaps import (
    Gaps,
    Inputs,
    Jacobian,
    Labels,
    Mask,
    PerInput,
    Ranking,
    differentiate_gaps,
    rank,
    score,
)

# The share by which a step is longer than the linear model asks for.
_OVERSHOOT = 0.02
# Below it a gradient is nothing, and a step along it too: float32 knows smaller numbers, but not
# their squares.
_FLAT = 1e-15


def two_class(
    network: nn.Module,
    start: Inputs,
    *,
    domain: Domain,
    steps: int = 50,
    rivals: int = 10,
    halvings: int = 24,
) -> Inputs:
    """Moves inputs to the nearest boundary of their class, as AID and IPGuard choose samples.

    With g the lead over another class and J = dg/dx, the boundary to that class is about g/||J||
    away. A step goes to the nearest of the other classes: dx = -(1 + overshoot) g J / ||J||²,
    clamped to the bounds, until the label changes. The last step is then halved again and again,
    so that the label of the start stays, up to rounding. The numbers are those of DeepFool
    (Moosavi-Dezfooli et al., CVPR 2016), and as many halvings as bring two float32 next to each
    other; of so many rivals, the highest other classes of the start, the nearest is taken.
    """
    check_at_least(1, steps=steps, rivals=rivals)
    check_at_least(0, halvings=halvings)
    start = start.detach()
    ranking = rank(score(network, start), tied=rivals + 1)
    before, after = _cross(network, start, ranking, domain=domain, steps=steps)
    share, labels = torch.zeros(len(start)).to(start), ranking.classes[:, 0]
    for number in range(1, halvings + 1):
        further = share + 2.0**-number
        stays = _keeps_label(network, _blend(before, after, further), labels)
        share = torch.where(stays, further, share)
    return domain.clamp(_blend(before, after, share))


def _cross(
    network: nn.Module,
    start: Inputs,
    ranking: Ranking,
    *,
    domain: Domain,
    steps: int,
) -> tuple[Inputs, Inputs]:
    """The inputs before and after the step that changed their label, or before and after the last.

    The first class of the ranking is the label, the others those that are looked at.
    """
    before, after = start.clone(), start.clone()
    active = torch.arange(len(start), device=start.device)
    for _ in range(steps):
        if not len(active):
            break
        before[active], own = after[active], ranking.take(active)
        change = _step_across(*differentiate_gaps(network, before[active], own))
        moved = before[active] + (1 + _OVERSHOOT) * change.view(before[active].shape)
        after[active] = domain.clamp(moved)
        active = active[_keeps_label(network, after[active], own.classes[:, 0])]
    return before, after


def _step_across(gaps: Gaps, jacobian: Jacobian) -> Tensor:
    """The shortest change, laid flat, that closes one of the gaps in their linear model."""
    lengths = jacobian.norm(dim=2).clamp(min=_FLAT)
    distances, nearest = (gaps / lengths).min(dim=1)
    rows = torch.arange(len(gaps), device=gaps.device)
    change: Tensor = jacobian[rows, nearest] * (-distances / lengths[rows, nearest])[:, None]
    return change


def _keeps_label(network: nn.Module, inputs: Inputs, labels: Labels) -> Mask:
    return score(network, inputs).argmax(1) == labels


def _blend(before: Inputs, after: Inputs, share: PerInput) -> Inputs:
    return before + share.view(-1, *[1] * (before.dim() - 1)) * (after - before)
