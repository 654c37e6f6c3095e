"""Cuts natural inputs into pieces, of which samples are made independently of one another.

What is made of a piece depends on nothing but the piece, the network and the recipe, and on a GPU
on the order of its sums: so pieces can be made in any order, anywhere, and long before the others.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from math import prod
from pathlib import Path

from modelseal.domain import Domain
from modelseal.fingerprint.digest import content_digest
from modelseal.sealing.recipe import Recipe
from modelseal.shapes import Array, Codes

# Natural inputs that are worked on together, at the most: more gain no speed.
LARGEST = 32
# Two of them need no more than so many values, however large inputs are: their Jacobians are in
# memory at once, which for a tie of ten classes, with what is computed of them, is 150 MB.
VALUES = 2**20
# The samples of a piece share the margin that the median one needs, so that one alone is too few.
SMALLEST = 2
PACKAGES = ("modelseal", "torch")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PieceTask:
    """A piece, to be made.

    Args:
        number: Its place among all, from 0.
        rows: The numbers of its natural inputs.
        naturals: These inputs themselves.
        recipe: How samples shall be made of them.
        weights: Digest of the network.
        domain: What a valid input of it is.
        device: Where the network shall run, as torch names it.
        threads: How many threads torch has for it.
        source: The model.toml, if another process makes it.
    """

    number: int
    rows: Array
    naturals: Codes
    recipe: Recipe
    weights: str
    domain: Domain
    device: str
    threads: int
    source: Path | None

    def __str__(self) -> str:
        return f"piece {self.number} of the candidates"

    @property
    def key(self) -> str:
        """A digest of all that its samples depend on, as hexadecimal digits."""
        recipe, variants = self.recipe, self.recipe.variants
        settings = {
            "method": recipe.method.value,
            "spec": str(recipe.spec),
            "seed": recipe.seed,
            "parameters": recipe.parameters,
            "variants": None if variants is None else [each.name for each in variants],
            "weights": self.weights,
            "domain": repr(self.domain),
            "device": self.device,
            "threads": self.threads,
            "packages": {name: version(name) for name in PACKAGES},
        }
        header = json.dumps(settings, sort_keys=True).encode()
        return content_digest(header, {"naturals": self.naturals}).removeprefix("sha256:")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Piece:
    """A finished piece.

    Args:
        samples: One of each natural input, as they are stored, in the same order.
        work: What they cost together, in forward passes of one input.
    """

    samples: Codes
    work: float


def cut_evenly(count: int, domain: Domain) -> Iterator[tuple[int, int]]:
    """The first number of every piece, and that after its last one."""
    return pairwise([*range(0, count, piece_size(domain)), count])


def piece_size(domain: Domain) -> int:
    """How many natural inputs are worked on together.

    This depends on what an input is and on nothing else. If the memory or the number of workers
    had a say in it, the same command would make other samples on another machine, or when it goes
    on after a stop: which samples share a piece makes a difference to them. Pieces are so small
    that they fit wherever the network itself does; the memory decides how many are worked on at
    the same time (`memory.fit_processes`), which makes no difference to any of them.
    """
    return max(SMALLEST, min(LARGEST, VALUES // prod(domain.shape)))
