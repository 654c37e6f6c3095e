"""How samples shall be made."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from modelseal.calibration.precision import low_precision_variants, parse_precisions
from modelseal.calibration.variants import Variant
from modelseal.domain import Domain
from modelseal.enums import Precision
from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.fingerprint import Fingerprint
from modelseal.outputs.specs import OutputSpec, TopLabels

FACTOR = 3.0
"""How many times its largest harmless move the margin of a sample is, by default."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How samples shall be made; every method is called with it.

    Args:
        domain: What a valid input is.
        method: The registered name of the method.
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
    """

    domain: Domain
    method: str = "boundary"
    spec: OutputSpec = field(default_factory=TopLabels)
    tied: int = 10
    margin: float | None = None
    factor: float = FACTOR
    seed: int = 0
    variants: tuple[Variant, ...] | None = None
    allowed: frozenset[Precision] | tuple[Precision, ...] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "allowed", frozenset(self.allowed))
        margin = 1.0 if self.margin is None else self.margin
        for name, value, fits, expected in (
            ("tie", self.tied, self.tied >= 2, "2 classes or more"),
            ("margin", self.margin, 0 < margin < inf, "a finite number above 0"),
            ("factor", self.factor, 1 <= self.factor < inf, "a finite number of 1 or more"),
            ("seed", self.seed, 0 <= self.seed < 2**63, "0 to 2^63 - 1"),
        ):
            if not fits:
                raise InvalidArgumentError(f"expected {expected}, got {value}", field=name)

    @classmethod
    def of(cls, fingerprint: Fingerprint) -> "Recipe":
        """How the samples of a fingerprint were made, but for variants that were the caller's."""
        origin, words = fingerprint.origin, fingerprint.origin.parameters
        margin = words["margin"]
        return cls(
            domain=fingerprint.domain,
            method=origin.method,
            spec=fingerprint.spec,
            tied=int(words["tied"]),
            margin=None if margin == "automatic" else float(margin),
            factor=fingerprint.factor,
            seed=origin.seed,
            allowed=parse_precisions(str(words.get("allowed", ""))),
        )

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
