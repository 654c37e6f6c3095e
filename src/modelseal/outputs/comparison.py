"""The arithmetic under the output specs: ordering, rounding, and what counts as the same."""

from typing import cast

import numpy as np

from modelseal.errors import EndpointError, InvalidArgumentError, unexpected
from modelseal.outputs.answers import Answers, Kind
from modelseal.types import Array, Labels, Mask, PerInput, Scores, Values

# A row may miss 1 by half a unit of the last digit that is compared for each class, and by this
# much more: some servers print fewer digits.
_SUM_TOLERANCE = 0.05
# Softmax in float32 adds up to 1 within 1e-6, in half precision within 1e-3.
_SOFTMAX_TOLERANCE = 1e-3
# More decimal digits than a float32 below 1 has need not be looked for.
_FLOAT32_DIGITS = 7


def softmax(scores: Scores) -> Scores:
    """The probability of every class, in float64."""
    shifted = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    return cast(Scores, shifted / shifted.sum(axis=1, keepdims=True))


def best(scores: Scores, count: int) -> Labels:
    """The classes of the highest scores, best first; of equal scores the lower class first."""
    if scores.shape[1] < count:
        raise InvalidArgumentError(f"expected at least {count} classes, got {scores.shape[1]}")
    return cast(Labels, np.argsort(-scores, axis=1, kind="stable")[:, :count])


def label_margin(scores: Scores, count: int) -> PerInput:
    """The smallest difference between neighbours among the best count + 1 scores."""
    ordered = -np.sort(-scores.astype(np.float64), axis=1)[:, : count + 1]
    if ordered.shape[1] < 2:
        return np.full(len(scores), np.inf)
    return cast(PerInput, -np.diff(ordered, axis=1).max(axis=1))


def label_move(scores: Scores, others: Scores, count: int) -> PerInput:
    """The largest change of a difference between a shown label's score and any other score."""
    shown = best(scores, count)
    change = others.astype(np.float64) - scores
    own = np.take_along_axis(change, shown, axis=1)
    return cast(PerInput, np.abs(own[:, :, None] - change[:, None, :]).max(axis=(1, 2)))


def rounding_margin(values: Values | Scores, digits: int) -> PerInput:
    """The distance of the nearest value to where its last digit changes."""
    units = values * 10.0**digits
    return cast(PerInput, np.abs(units - np.floor(units) - 0.5).min(axis=1) / 10.0**digits)


def same_labels(expected: Answers, shown: Answers) -> Mask:
    """Whether the labels of two answers are the same, for each input."""
    return cast(Mask, (cast(Labels, expected.labels) == cast(Labels, shown.labels)).all(axis=1))


def same_digits(expected: Answers, shown: Answers, digits: int) -> Mask:
    """Whether the rounded values of two answers are the same, for each input."""
    first, second = comparable(expected, shown)
    # Both are rounded: they differ by nothing or by at least one unit of the last digit.
    return cast(Mask, (np.abs(first - second) < 0.5 * 10.0**-digits).all(axis=1))


def check_detail(expected: Answers, shown: Answers, digits: int, *, where: Mask) -> None:
    """Makes sure that values differ because they do, not because fewer digits came."""
    if shown.digits is None:
        return
    first, second = comparable(expected, shown)
    # Cutting loses up to a unit of the shown digits, and what was expected is rounded itself.
    widest = 10.0**-shown.digits + 0.75 * 10.0**-digits
    near = (np.abs(first - second) < widest).all(axis=1)
    if (near & where).any():
        raise EndpointError(f"expected {digits} digits, got {shown.digits}")


def comparable(expected: Answers, shown: Answers) -> tuple[Array, Array]:
    """The values of two answers as float64, of one shape."""
    first, second = cast(Array, expected.values), cast(Array, shown.values)
    if first.shape != second.shape:
        raise EndpointError(f"expected values of shape {first.shape}, got {second.shape}")
    return first.astype(np.float64), second.astype(np.float64)


def wide_enough(labels: Labels, count: int) -> Array:
    """The first `count` labels, once they are known to be there and valid."""
    if labels.shape[1] < count:
        raise EndpointError(f"expected {count} labels, got {labels.shape[1]}")
    if labels.size and labels.min() < 0:
        raise EndpointError(f"expected labels from 0, got {labels.min()}")
    if (np.diff(np.sort(labels[:, :count], axis=1), axis=1) == 0).any():
        raise EndpointError("expected different labels, got one twice")
    return labels[:, :count]


def many_enough(values: Scores, count: int) -> Scores:
    """The values, once they are known to be those of enough classes."""
    if values.shape[1] < count:
        raise EndpointError(f"expected {count} classes, got {values.shape[1]}")
    return values


def untied(values: Scores, count: int) -> Scores:
    """The values, once no two of the best count + 1 are known to be equal."""
    if not (label_margin(values, count) > 0).all():
        raise EndpointError("expected different scores, got two equal ones among the highest")
    return values


def finite(values: Array) -> Array:
    """The values, once they are known to be finite."""
    if not np.isfinite(values).all():
        raise EndpointError("expected finite numbers, got an infinity or NaN")
    return values


def all_probabilities(answers: Answers, digits: int) -> Scores:
    """The probability of every class; those that were shown may be rounded to `digits`."""
    if answers.kind is Kind.SCORES:
        return softmax(finite(cast(Scores, answers.values)))
    if answers.kind is Kind.LABELS:
        raise EndpointError("expected probabilities, got labels")
    values = finite(cast(Scores, answers.values)).astype(np.float64)
    tolerance = _SUM_TOLERANCE + values.shape[1] * 0.5 * 10.0**-digits
    if (values < 0).any() or (np.abs(values.sum(axis=1) - 1) > tolerance).any():
        raise EndpointError("expected probabilities that add up to 1, got other numbers")
    return values


def shares(values: Values) -> Values:
    """Probabilities of some classes, in float64: rounding them in float32 would be coarser."""
    exact = finite(values).astype(np.float64)
    if (exact < 0).any() or (exact > 1 + _SUM_TOLERANCE).any():
        raise EndpointError("expected probabilities from 0 to 1, got other numbers")
    return exact


def fewer_digits(answers: Answers, digits: int) -> int | None:
    """With how many digits shown probabilities came; nothing if there may be `digits` or more.

    Probabilities that are made of shown scores have all their digits.
    """
    if answers.kind is Kind.SCORES:
        return None
    return decimal_digits(cast(Array, answers.values), below=digits)


def decimal_digits(values: Array, *, below: int) -> int | None:
    """How many decimal digits, from 1 and below a number, hold all values; None if none do."""
    exact = values.astype(np.float64)
    # A decimal number is off by half a place of the values' own type, or by one if computed.
    slack = 2.0 * np.spacing(values).astype(np.float64)
    fitting = (n for n in range(1, below) if (np.abs(exact - exact.round(n)) <= slack).all())
    return next(fitting, None)


def like_probabilities(values: Scores) -> Mask:
    """Whether numbers are from 0 to 1 and add up to 1, as far as their digits allow."""
    within = values.clip(0.0, 1.0)
    digits = decimal_digits(within, below=_FLOAT32_DIGITS)
    rounding = 0.0 if digits is None else values.shape[1] * 0.5 * 10.0**-digits
    missing = np.abs(within.sum(axis=1, dtype=np.float64) - 1)
    sums = missing <= min(_SOFTMAX_TOLERANCE + rounding, _SUM_TOLERANCE)
    return cast(Mask, (within == values).all(axis=1) & sums)


def check_digits(digits: int) -> None:
    """Makes sure that a number of decimal digits is in its range."""
    if not 1 <= digits <= 12:
        raise unexpected("1 to 12", digits, field="digits")


def check_count(count: int) -> None:
    """Makes sure that a number of labels is one."""
    if count < 1:
        raise unexpected("1 or more", count, field="count")
