"""The numbers of the published experiment."""

from dataclasses import dataclass, field

from modelseal.errors import InvalidArgumentError
from modelseal.generation.legacy import PUBLISHED, LegacySettings
from modelseal.sealing.recipe import Recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The numbers of one run.

    Args:
        legacy: Those of the published loop. Samples whose mean squared derivative does not come
            above its threshold are no candidates, as there; an infinite threshold means that the
            loop never stops early, and all are.
        recipe: How our samples are made, of the same images.
        images: Of how many natural images samples are made, from 1; None is all there are.
        samples: How many are chosen of a bag, from 1.
        bag: How many candidates are in a bag, from 1.
        trials: How many bags are drawn, from 1.
        seed: Of all that is drawn.

    Raises:
        InvalidArgumentError: A number is out of its range.
    """

    legacy: LegacySettings = PUBLISHED
    recipe: Recipe = field(default_factory=Recipe)
    images: int | None = None
    samples: int = 10
    bag: int = 100
    trials: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("images", "samples", "bag", "trials"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise InvalidArgumentError(f"{name} needs 1 or more, but is {number}")
        if self.samples > self.bag:
            raise InvalidArgumentError(
                f"samples of a bag were wanted, but {self.samples} are more than its {self.bag}"
            )
        if not 0 <= self.seed < 2**63:
            raise InvalidArgumentError(f"a seed needs to be 0 to 2^63 - 1, but is {self.seed}")
