"""Exact samples on the domain's levels, with a margin on purpose.

Rounding a tie to 8 bits moves its scores by tenths and destroys it. But an image has thousands
of values that can each move by one level, so that levels with almost any wanted small gaps
exist. They are found in a few rounds, each of which costs one Jacobian and a few exact scores:

1. Differentiate the gaps at the present levels.
2. Choose single-level changes greedily, always the one that lowers the expected squared
   residual most (matching pursuit over the 2 x pixels signed columns of the Jacobian).
3. Add the best pairs of further changes of the least influential pixels: fine adjustment.
4. Score these proposals exactly, and keep the best.

The linear model is wrong by a share of every single change, because changes cross the kinks of
the network. So the expected squared residual of changes D is |r + J D|² + CURVATURE² Σ |J_i|²
over the changed pixels i: a few small changes are better than many or large ones.
"""

from math import sqrt

import torch
from torch import Tensor, nn

from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError
from modelseal.generation.gaps import (
    Gaps,
    Inputs,
    Jacobian,
    Numbers,
    PerInput,
    Proposals,
    Ranking,
    differentiate_gaps,
    measure_gaps,
    score,
)

# The share of a single-level change by which the linear model is wrong, at the median of what was
# measured on ResNet-20; it only weighs the terms of the expected residual.
CURVATURE = 0.1
# The aim lies this many expected standard deviations above the margin: of several proposals,
# some then keep all gaps above it.
_SAFETY = 1.25
# An input with any gap below the margin counts as if every gap were also this many margins too
# wide: it will not be accepted as it is, but it is a better place to go on from than one whose
# gaps are far wider.
SHORTFALL = 5.0
# How many of the least influential pixels take part in the fine adjustment: their pairs are
# weighed all at once, in 4 MB for each input.
POOL = 256
# Errors of rounding that cancel out are spread evenly over one level: their root mean square is
# 0.29 of it. Below this they are not.
UNEVEN = 0.2
_GOLDEN = (sqrt(5) - 1) / 2
# More changes than this in one round leave the range of the linear model.
CHANGES = 64


def search_lattice(
    network: nn.Module,
    start: Inputs,
    ranking: Ranking,
    *,
    domain: Domain,
    margin: PerInput,
    rounds: tuple[int, ...] = (1, 1, 4, 16, 16),
) -> Inputs:
    """Moves inputs near a tie onto the levels so that all their gaps lie just above a margin.

    The margin, above 0, is the smallest allowed gap of each input in scores; `rounds` says how many
    proposals are scored exactly in each round. Where the search failed some gap is below it.
    """
    if not domain.levels:
        raise InvalidArgumentError("expected a domain with levels, got a continuous one")
    table = torch.from_numpy(domain.table).to(start)
    numbers = dither((domain.clamp(start).flatten(1) - domain.bounds[0]) / domain.step)

    def place(flat: Numbers) -> Inputs:
        return table[flat.long()].view(-1, *start.shape[1:])

    stuck = torch.zeros(len(start), dtype=torch.bool, device=start.device)
    row = torch.arange(len(start), device=start.device)
    for number, proposals in enumerate(rounds):
        gaps, jacobian = differentiate_gaps(network, place(numbers), ranking)
        jacobian = jacobian * domain.step
        free = free_moves(numbers, top=domain.levels - 1) & _every_other(
            numbers, stuck, turn=number
        )
        changes = propose_changes(jacobian, gaps - margin[:, None], free, count=proposals)
        options = torch.cat([numbers[:, None], numbers[:, None] + changes], dim=1)
        scores = score(network, place(options[:, 1:].flatten(0, 1)))
        found = measure_gaps(scores, ranking.repeat(changes.shape[1]))
        every = torch.cat([gaps[:, None], found.view(*changes.shape[:2], -1)], dim=1)
        best = measure_loss(every, margin).argmin(dim=1)
        numbers, stuck = options[row, best], best == 0
    return place(numbers)


def dither(places: Numbers) -> Numbers:
    """The level numbers at which inputs between the levels (batch, pixels) start.

    The nearest ones, as a rule: what rounding does to many pixels cancels out. But where nearly
    all pixels moved by far less than half a level, the nearest levels are those that they came
    from. There as many of them are rounded away from the nearest level as keep the mean: pixel i
    goes up if its fraction is above 1 - u_i, with u_i spread evenly over 0 to 1 by the multiples
    of the golden ratio.
    """
    nearest = places.round()
    spread = torch.arange(1, places.shape[1] + 1, device=places.device, dtype=torch.float64)
    low = places.floor()
    # The fractions alone, in float64: beside a level number they would be rounded.
    dithered = low + ((places - low).double() + (spread * _GOLDEN).frac() >= 1)
    error = (places - nearest).square().mean(dim=1, keepdim=True).sqrt()
    return torch.where(error < UNEVEN, dithered, nearest)


def measure_loss(gaps: Tensor, margin: PerInput) -> Tensor:
    """Squared distance of gaps (batch, proposals, gaps) to the margin; more if one is below."""
    excess = gaps - margin[:, None, None]
    penalty = gaps.shape[2] * (SHORTFALL * margin[:, None]).square()
    return excess.square().sum(dim=2) + (excess < 0).any(dim=2) * penalty


def propose_changes(jacobian: Jacobian, residual: Gaps, free: Tensor, *, count: int) -> Proposals:
    """Changes of single levels that the linear model says bring all gaps just above the margin.

    `residual` is the gaps minus the margin, `free` whether each pixel may go up and down.
    """
    influence = jacobian.square().sum(dim=1)
    rough, left = matching_pursuit(jacobian, residual, free)
    used = (rough != 0).to(influence.dtype)
    variance = (left.square().sum(1) + CURVATURE**2 * (used * influence).sum(1)) / left.shape[1]
    aimed = residual - _SAFETY * variance.sqrt()[:, None]
    greedy, left = matching_pursuit(jacobian, aimed, free)
    if count == 1:
        return greedy[:, None]
    pairs = best_pairs(jacobian, left, free & (greedy == 0)[:, None], count=count - 1)
    return torch.cat([greedy[:, None], greedy[:, None] + pairs], dim=1)


def free_moves(numbers: Numbers, *, top: int) -> Tensor:
    """Whether each pixel can go one level up and down: (batch, 2, pixels)."""
    return torch.stack([numbers < top, numbers > 0], dim=1)


def _every_other(numbers: Numbers, stuck: Tensor, *, turn: int) -> Tensor:
    """Which pixels may change: all, or every other one, in turn, of inputs that are stuck.

    An input that nothing improved would get the same proposals again.
    """
    pixel = torch.arange(numbers.shape[1], device=numbers.device)
    return ((pixel + turn) % 2 == 0)[None, None] | ~stuck[:, None, None]


def matching_pursuit(jacobian: Jacobian, residual: Gaps, free: Tensor) -> tuple[Numbers, Gaps]:
    """Greedy single-level changes, each the one that lowers the expected loss most.

    With them comes the residual that the linear model leaves.
    """
    changes = torch.zeros_like(jacobian[:, 0])
    rows = torch.arange(len(changes), device=changes.device)
    price = (1 + CURVATURE**2) * jacobian.square().sum(dim=1)
    up, down = free.unbind(dim=1)
    for _ in range(CHANGES):
        slope = torch.einsum("bg,bgp->bp", residual, jacobian)
        sign = -slope.sign()
        allowed = torch.where(sign > 0, up, down) & (changes == 0)
        gain = (price - 2 * slope.abs()).masked_fill(~allowed, torch.inf)
        lowest, pixel = gain.min(dim=1)
        step = sign[rows, pixel] * (lowest < 0)
        if not step.any():
            break
        changes[rows, pixel] += step
        residual = residual + step[:, None] * jacobian[rows, :, pixel]
    return changes, residual


def best_pairs(jacobian: Jacobian, residual: Gaps, free: Tensor, *, count: int) -> Proposals:
    """The best further changes of one or two pixels, among the least influential ones.

    For signed changes a and b the expected loss beyond |r|² is e(a) + e(b) + 2 a·b with
    e(a) = 2 r·a + (1 + CURVATURE²) |a|². The `count` best come, best first; fewer if there are
    fewer pairs, and no change where no more can be made.
    """
    batch, _, pixels = jacobian.shape
    pool = jacobian.square().sum(dim=1).topk(min(POOL, pixels), largest=False).indices
    columns = jacobian.transpose(1, 2)[torch.arange(batch, device=pool.device)[:, None], pool]
    columns = torch.cat([columns, -columns], dim=1)
    open_ends = free.gather(2, pool[:, None].expand(-1, 2, -1)).flatten(1)
    price = (1 + CURVATURE**2) * columns.square().sum(dim=2)
    price = price + 2 * torch.einsum("bng,bg->bn", columns, residual)
    price = price.masked_fill(~open_ends, torch.inf)
    cost = price[:, :, None] + price[:, None] + 2 * columns @ columns.transpose(1, 2)
    number = cost.shape[1]
    again = torch.ones(number, number, dtype=torch.bool, device=cost.device).tril()
    again |= torch.eye(number, device=cost.device).roll(number // 2, 1).bool()
    cost = cost.masked_fill(again, torch.inf)
    cost.diagonal(dim1=1, dim2=2).copy_(price)
    lowest, chosen = cost.flatten(1).topk(min(count, number**2), largest=False)
    ends = torch.stack([chosen // number, chosen % number], dim=2)
    ends[lowest == torch.inf] = number
    return _spell_out(ends, pool, pixels=pixels)


def _spell_out(ends: Tensor, pool: Tensor, *, pixels: int) -> Proposals:
    """Pairs of signed pool members (batch, count, 2) as changes of all pixels.

    Members from 0 go a level up, members from `size` one down, members from 2 `size` stay;
    a pair of a member with itself counts once.
    """
    size = pool.shape[1]
    batch, count, _ = ends.shape
    sign = 1.0 - 2.0 * (ends >= size) + (ends >= 2 * size)
    sign[..., 1] *= ends[..., 0] != ends[..., 1]
    pixel = pool[:, None].expand(-1, count, -1).gather(2, ends % size)
    changes = torch.zeros(batch, count, pixels, device=pool.device)
    return changes.scatter_add_(2, pixel, sign)
