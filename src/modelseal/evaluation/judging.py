"""What a changed network's scores say: which answers are others, and how far scores moved."""

import numpy as np

from modelseal.outputs.specs import OutputSpec, TopLabels
from modelseal.shapes import Mask, Scores


def changed_answers(spec: OutputSpec, expected: Scores, scores: Scores) -> Mask:
    """Which inputs are answered otherwise than before.

    A server that shows labels finds the highest score of a row that is not finite, too: there
    NaN counts as the largest, as torch and numpy have it. One that shows numbers shows no answer,
    which verifying calls undecided; that is no detection.

    Args:
        spec: What the endpoint shows.
        expected: The sealed network's scores.
        scores: The changed network's.
    """
    if isinstance(spec, TopLabels):
        shown = np.where(np.isnan(scores), np.inf, scores)
        return ~spec.agree(spec.reveal(expected), spec.reveal(shown))
    changed = np.zeros(len(scores), dtype=bool)
    rows = np.isfinite(scores).all(axis=1)
    if rows.any():
        before, after = spec.reveal(expected[rows]), spec.reveal(scores[rows])
        changed[rows] = ~spec.agree(before, after)
    return changed


def largest_change(before: Scores, after: Scores) -> float:
    """The largest change of any score; infinite if one is not finite any more."""
    if not np.isfinite(after).all():
        return float(np.inf)
    return float(np.abs(after.astype(np.float64) - before).max())
