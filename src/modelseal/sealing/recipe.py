"""How samples shall be made and chosen."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import isfinite

from modelseal.calibration.precision import low_precision_variants
from modelseal.calibration.variants import Variant
from modelseal.enums import Precision
from modelseal.errors import InvalidArgumentError
from modelseal.outputs.specs import OutputSpec, TopLabels

FACTOR = 3.0
"""How many times its largest harmless move the margin of a sample is, by default."""


class Method(Enum):
    """How samples are made of natural inputs."""

    BOUNDARY = "boundary"
    """A tie of many classes, exact on the levels, with a margin on purpose."""
    NATURAL = "natural"
    """The natural inputs themselves, for comparison."""
    MISCLASSIFIED = "misclassified"
    """The natural inputs themselves, chosen by the caller because the network gets them wrong."""
    NOISE = "noise"
    """Uniform noise in place of the natural inputs, for comparison."""
    LEGACY = "legacy"
    """The code that was published with He et al. (CVPR 2019), for comparison."""
    ASCENT = "ascent"
    """The ascent of that paper, on the sensitivity of the probabilities to the last layer."""
    ASCENT_ALL = "ascent-all"
    """The same on the sensitivity to all weights."""
    IBSF = "ibsf"
    """Inputs of high entropy (Bai et al., ICML 2024) by the published numbers, for comparison."""
    IBSF_TUNED = "ibsf-tuned"
    """The same by better numbers."""
    TWO_CLASS = "two-class"
    """The nearest boundary between two classes, for comparison."""


class Rule(Enum):
    """How few samples are chosen of many candidates."""

    MANC = "manc"
    """Maximum active-neuron cover."""
    RANDOM = "random"
    """By chance."""
    MARGIN = "margin"
    """The smallest margins."""
    DETECTION = "detection"
    """Most small changes noticed; of equals, maximum active-neuron cover."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How samples shall be made.

    Args:
        method: How samples are made of natural inputs.
        spec: What the endpoint shows of its scores.
        tied: How many classes shall tie, from 2; all classes if there are fewer. With one label
            shown, a sample can notice at most a share 1 - 1/tied of all changes.
        margin: The smallest allowed margin, in the unit of the spec's margin, above 0; by default
            what `factor` asks for.
        factor: The margin is at least this many times the largest move of any harmless variant,
            from 1.
        seed: The seed of all random numbers, from 0 and below 2^63.
        variants: The ways of running the network that count as harmless; by default all float32
            ways.
        allowed: Lower precisions that count as harmless beside them. Margins grow with what these
            do to scores, and what is allowed cannot be noticed.

    Raises:
        InvalidArgumentError: A value is out of its range.
    """

    method: Method = Method.BOUNDARY
    spec: OutputSpec = field(default_factory=TopLabels)
    tied: int = 10
    margin: float | None = None
    factor: float = FACTOR
    seed: int = 0
    variants: tuple[Variant, ...] | None = None
    allowed: frozenset[Precision] | tuple[Precision, ...] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "allowed", frozenset(self.allowed))
        if self.tied < 2:
            raise InvalidArgumentError(f"a tie needs at least 2 classes, but got {self.tied}")
        if self.margin is not None and not (isfinite(self.margin) and self.margin > 0):
            raise InvalidArgumentError(
                f"a margin needs to be finite and above 0, but is {self.margin}"
            )
        if not (isfinite(self.factor) and self.factor >= 1):
            raise InvalidArgumentError(
                f"a safety factor needs to be 1 or more, but is {self.factor}"
            )
        if not 0 <= self.seed < 2**63:
            raise InvalidArgumentError(f"a seed needs to be 0 to 2^63 - 1, but is {self.seed}")

    @property
    def shown(self) -> int:
        """How many labels the spec shows in order: as many gaps need a margin of their own."""
        return self.spec.count if isinstance(self.spec, TopLabels) else 1

    @property
    def parameters(self) -> dict[str, str | int | float]:
        """What a fingerprint keeps of it beside the method, the spec and the seed."""
        margin = "automatic" if self.margin is None else self.margin
        words = ", ".join(each.name for each in low_precision_variants(self.allowed))
        allowed = {"allowed": words} if words else {}
        return {"tied": self.tied, "margin": margin, "factor": self.factor, **allowed}

    def with_allowed(self, variants: Sequence[Variant]) -> tuple[Variant, ...]:
        """These variants, and those of the allowed precisions that are not among them."""
        names = {each.name for each in variants}
        lowered = low_precision_variants(self.allowed)
        return (*variants, *(each for each in lowered if each.name not in names))
