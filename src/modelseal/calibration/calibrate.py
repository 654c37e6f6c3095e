"""How far harmless variants move a decision, and which samples can bear it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from types import MappingProxyType
from typing import cast

import numpy as np
from torch import nn

from modelseal.calibration.variants import Variant, reference
from modelseal.errors import InvalidArgumentError, ModelsealError, SealingError
from modelseal.outputs.specs import OutputSpec
from modelseal.runtime.inference import Inputs
from modelseal.types import Mask, PerInput, Progress, Scores, ignore


@dataclass(frozen=True, kw_only=True, slots=True)
class _Skipped:
    """A variant that could not be run, with the reason in one sentence."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Calibration:
    """What harmless variants did to the scores of some inputs.

    Args:
        variants: The names of the variants that were run.
        skipped: Those that could not be run.
        margins: How far each input's scores are from another shown answer.
        moves: How far the variants moved them towards one, at the most: the largest move of all
            variants, and at least one unit in the last place of the input's largest score as a
            float32, because another runtime may round in another way where ours do not.
        moves_by_variant: The move of each variant alone, without that minimum.
        silent: Whether every variant showed the same answer.
    """

    variants: tuple[str, ...]
    skipped: tuple[_Skipped, ...]
    margins: PerInput
    moves: PerInput
    moves_by_variant: Mapping[str, PerInput]
    silent: Mask

    def accepted(self, factor: float) -> Mask:
        """Which inputs no harmless variant can flip: silent, and with room to spare.

        The margin needs to be `factor`, at least 1, times the largest move.
        """
        if not (isfinite(factor) and factor >= 1):
            raise InvalidArgumentError(f"expected 1 or more, got {factor}", field="factor")
        # An infinite margin means that no other answer exists; a NaN fails every comparison.
        room = np.isfinite(self.margins) & (self.margins > 0)
        return cast(Mask, self.silent & room & (self.margins >= factor * self.moves))


def calibrate(
    network: nn.Module,
    inputs: Inputs,
    *,
    spec: OutputSpec,
    variants: Sequence[Variant],
    expected: Scores | None = None,
    progress: Progress = ignore,
) -> Calibration:
    """Runs a network in every harmless way and measures how far each moves the decisive gaps.

    A variant that cannot be run here is skipped; `expected`, the scores to compare with, is the
    reference's by default.
    """
    names = [variant.name for variant in variants]
    if len(set(names)) < len(names):
        raise InvalidArgumentError(
            f"expected different names, got {', '.join(names)}", field="variants"
        )
    if expected is None:
        expected = reference(network, inputs)
    shown, skipped = _run_variants(network, inputs, variants=variants, progress=progress)
    if not shown:
        reasons = "; ".join(f"{each.name}: {each.reason}" for each in skipped)
        raise SealingError(f"expected a variant that can be run, got {reasons or 'none'}")
    for name, scores in shown.items():
        if scores.shape != expected.shape:
            raise InvalidArgumentError(
                f"expected scores of shape {expected.shape}, got {scores.shape}", field=name
            )
    return compare(expected, shown, spec=spec, skipped=skipped)


def _run_variants(
    network: nn.Module, inputs: Inputs, *, variants: Sequence[Variant], progress: Progress
) -> tuple[dict[str, Scores], tuple[_Skipped, ...]]:
    shown: dict[str, Scores] = {}
    skipped: list[_Skipped] = []
    for done, variant in enumerate(variants, start=1):
        try:
            shown[variant.name] = variant(network, inputs)
        except ModelsealError as problem:
            skipped.append(_Skipped(name=variant.name, reason=str(problem)))
        progress("calibrate", done, len(variants))
    return shown, tuple(skipped)


def compare(
    expected: Scores,
    shown: Mapping[str, Scores],
    *,
    spec: OutputSpec,
    skipped: tuple[_Skipped, ...] = (),
) -> Calibration:
    """Margins and moves of the scores that each variant, at least one, gave the same inputs."""
    # Scores that are not finite give NaN, which is never accepted.
    with np.errstate(invalid="ignore", over="ignore"):
        answers = spec.reveal(expected)
        moves = {name: spec.move(expected, scores) for name, scores in shown.items()}
        silent = [spec.agree(answers, spec.reveal(scores)) for scores in shown.values()]
        largest = np.max([*moves.values(), _rounding(expected)], axis=0)
        margins = spec.margin(expected)
    return Calibration(
        variants=tuple(shown),
        skipped=skipped,
        margins=margins.astype(np.float64),
        moves=largest.astype(np.float64),
        moves_by_variant=MappingProxyType(moves),
        silent=cast(Mask, np.logical_and.reduce(silent)),
    )


def _rounding(scores: Scores) -> PerInput:
    """One unit in the last place of each input's largest score, as a float32.

    Two scores that are each wrong by half of it differ wrongly by all of it. A probability
    changes by at most half as much as the scores that it comes from, so that this is enough for
    every kind of output.
    """
    largest = np.abs(scores).max(axis=1).astype(np.float32)
    return cast(PerInput, np.spacing(largest).astype(np.float64))
