"""What an endpoint shows of its scores, and when two answers are the same.

Every output spec measures two things in one unit, so that calibration can compare them: the
`margin`, by how much the shown answer misses becoming another one, and the `move`, by how much
a re-hosting brings it nearer to that. An answer cannot change while move < margin.
"""

from dataclasses import dataclass
from typing import Protocol, cast, runtime_checkable

import numpy as np

from modelseal.errors import EndpointError, InvalidArgumentError, unexpected
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.comparison import (
    all_probabilities,
    best,
    check_count,
    check_detail,
    check_digits,
    comparable,
    fewer_digits,
    finite,
    label_margin,
    label_move,
    like_probabilities,
    many_enough,
    rounding_margin,
    same_digits,
    same_labels,
    shares,
    softmax,
    untied,
    wide_enough,
)
from modelseal.types import Mask, PerInput, Scores


@runtime_checkable
class OutputSpec(Protocol):
    """What an endpoint shows of its scores; `str` of it is read back by `parse_spec`."""

    def reveal(self, scores: Scores) -> Answers:
        """Shows raw scores (logits) as the endpoint would."""
        ...

    def read(self, answers: Answers) -> Answers:
        """Brings what came from an endpoint into the form of `reveal`, or raises EndpointError."""
        ...

    def agree(self, expected: Answers, shown: Answers) -> Mask:
        """Whether two answers in the form of `reveal` are the same, for each input.

        It raises EndpointError if what was shown has too few classes or digits to tell.
        """
        ...

    def margin(self, scores: Scores) -> PerInput:
        """How far each input's scores are from another shown answer."""
        ...

    def move(self, scores: Scores, others: Scores) -> PerInput:
        """How far `others` may have come from `scores` towards another shown answer."""
        ...


@dataclass(frozen=True, slots=True)
class TopLabels:
    """The `count` most likely labels, best first.

    Margin: the smallest difference between neighbouring scores among the best count + 1.
    Move: the largest change of a difference between a shown label's score and any other score.
    """

    count: int = 1

    def __post_init__(self) -> None:
        check_count(self.count)

    def __str__(self) -> str:
        return "top1" if self.count == 1 else f"topk:{self.count}"

    def reveal(self, scores: Scores) -> Answers:
        """Shows the labels of the highest scores."""
        return Answers(kind=Kind.LABELS, labels=best(scores, self.count))

    def read(self, answers: Answers) -> Answers:
        """Takes shown labels, or the highest of shown scores if no two are equal there."""
        if answers.labels is not None:
            wanted = wide_enough(answers.labels, self.count)
            return Answers(kind=Kind.LABELS, labels=wanted)
        values = many_enough(finite(cast(Scores, answers.values)), self.count)
        return Answers(kind=Kind.LABELS, labels=best(untied(values, self.count), self.count))

    def agree(self, expected: Answers, shown: Answers) -> Mask:
        """Whether all labels are the same, in the same order."""
        return same_labels(expected, shown)

    def margin(self, scores: Scores) -> PerInput:
        """The smallest difference between neighbouring scores among the best count + 1."""
        return label_margin(scores, self.count)

    def move(self, scores: Scores, others: Scores) -> PerInput:
        """The largest change of a difference between a shown label's score and any other."""
        return label_move(scores, others, self.count)


@dataclass(frozen=True, slots=True)
class TopProbabilities:
    """The `count` most likely labels and their probabilities, rounded to `digits`.

    Margin and move are those of the labels in probabilities, and those of the rounding:
    whichever is worse.
    """

    count: int
    digits: int

    def __post_init__(self) -> None:
        check_count(self.count)
        check_digits(self.digits)

    def __str__(self) -> str:
        return f"topprobs:{self.count}:{self.digits}"

    def reveal(self, scores: Scores) -> Answers:
        """Shows the highest labels with their rounded probabilities."""
        return self._shorten(softmax(scores))

    def read(self, answers: Answers) -> Answers:
        """Takes shown labels with probabilities, or the highest of all probabilities."""
        if answers.labels is not None and answers.values is not None:
            labels = wide_enough(answers.labels, self.count)
            values = shares(answers.values)[:, : self.count].round(self.digits)
            digits = fewer_digits(answers, self.digits)
            return Answers(kind=Kind.LABELS, labels=labels, values=values, digits=digits)
        every = many_enough(all_probabilities(answers, self.digits), self.count)
        return self._shorten(untied(every, self.count), digits=fewer_digits(answers, self.digits))

    def _shorten(self, probabilities: Scores, *, digits: int | None = None) -> Answers:
        labels = best(probabilities, self.count)
        values = np.take_along_axis(probabilities, labels, axis=1).round(self.digits)
        return Answers(kind=Kind.LABELS, labels=labels, values=values, digits=digits)

    def agree(self, expected: Answers, shown: Answers) -> Mask:
        """Whether labels and rounded probabilities are the same."""
        labels = same_labels(expected, shown)
        digits = same_digits(expected, shown, self.digits)
        check_detail(expected, shown, self.digits, where=labels & ~digits)
        return cast(Mask, np.logical_and(labels, digits))

    def margin(self, scores: Scores) -> PerInput:
        """The nearer of the two: another label, another last digit."""
        probabilities = softmax(scores)
        values = -np.sort(-probabilities, axis=1)[:, : self.count]
        rounding = rounding_margin(values, self.digits)
        return cast(PerInput, np.minimum(label_margin(probabilities, self.count), rounding))

    def move(self, scores: Scores, others: Scores) -> PerInput:
        """The largest change of a probability or of a difference between two."""
        return label_move(softmax(scores), softmax(others), self.count)


@dataclass(frozen=True, slots=True)
class Probabilities:
    """The probability of every class, rounded to `digits`.

    Margin: the distance of the nearest probability to where its last digit changes.
    Move: the largest change of a probability.
    """

    digits: int

    def __post_init__(self) -> None:
        check_digits(self.digits)

    def __str__(self) -> str:
        return f"probs:{self.digits}"

    def reveal(self, scores: Scores) -> Answers:
        """Shows rounded probabilities."""
        return Answers(kind=Kind.PROBABILITIES, values=softmax(scores).round(self.digits))

    def read(self, answers: Answers) -> Answers:
        """Takes shown probabilities, rounded to this spec's digits."""
        values = all_probabilities(answers, self.digits).round(self.digits)
        digits = fewer_digits(answers, self.digits)
        return Answers(kind=Kind.PROBABILITIES, values=values, digits=digits)

    def agree(self, expected: Answers, shown: Answers) -> Mask:
        """Whether all rounded probabilities are the same."""
        same = same_digits(expected, shown, self.digits)
        check_detail(expected, shown, self.digits, where=~same)
        return same

    def margin(self, scores: Scores) -> PerInput:
        """The distance of the nearest probability to where its last digit changes."""
        return rounding_margin(softmax(scores), self.digits)

    def move(self, scores: Scores, others: Scores) -> PerInput:
        """The largest change of a probability."""
        return cast(PerInput, np.abs(softmax(others) - softmax(scores)).max(axis=1))


@dataclass(frozen=True, slots=True)
class RawScores:
    """The raw score of every class, the same if none differs by more than `tolerance`.

    Margin: the tolerance. Move: the largest change of a score.
    """

    tolerance: float

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < np.inf:
            raise unexpected("a positive finite number", self.tolerance, field="tolerance")

    def __str__(self) -> str:
        return f"scores:{self.tolerance!r}"

    def reveal(self, scores: Scores) -> Answers:
        """Shows the scores as they are."""
        return Answers(kind=Kind.SCORES, values=scores)

    def read(self, answers: Answers) -> Answers:
        """Takes shown scores; labels or probabilities do not hold them."""
        if answers.kind is not Kind.SCORES:
            raise EndpointError(f"expected raw scores, got {answers.kind.value}")
        values = finite(cast(Scores, answers.values))
        if like_probabilities(values).any():
            raise EndpointError("expected raw scores, got numbers that look like probabilities")
        return Answers(kind=Kind.SCORES, values=values)

    def agree(self, expected: Answers, shown: Answers) -> Mask:
        """Whether no score differs by more than the tolerance."""
        first, second = comparable(expected, shown)
        return cast(Mask, (np.abs(first - second) <= self.tolerance).all(axis=1))

    def margin(self, scores: Scores) -> PerInput:
        """The tolerance."""
        return np.full(len(scores), self.tolerance)

    def move(self, scores: Scores, others: Scores) -> PerInput:
        """The largest change of a score."""
        return cast(PerInput, np.abs(others.astype(np.float64) - scores).max(axis=1))


def parse_spec(text: str) -> OutputSpec:
    """Reads an output spec from its text.

    Examples:
        >>> parse_spec("topk:5")
        TopLabels(count=5)
    """
    name, *parameters = text.split(":")
    try:
        match name, parameters:
            case "top1", []:
                return TopLabels()
            case "topk", [count]:
                return TopLabels(int(count))
            case "topprobs", [count, digits]:
                return TopProbabilities(int(count), int(digits))
            case "probs", [digits]:
                return Probabilities(int(digits))
            case "scores", [tolerance]:
                return RawScores(float(tolerance))
    except InvalidArgumentError:
        raise
    except ValueError:
        pass  # not a number: said below, with the forms that are right
    raise InvalidArgumentError(
        f"expected top1, topk:K, topprobs:K:DIGITS, probs:DIGITS or scores:TOLERANCE, got {text!r}"
    )


def changed_answers(spec: OutputSpec, expected: Answers, scores: Scores) -> Mask:
    """Which inputs a network of these scores answers otherwise than expected.

    A server that shows labels finds the highest score of a row that is not finite, too: there
    NaN counts as the largest, as torch and numpy have it. One that shows numbers shows no answer,
    which verifying calls undecided; that is no detection.
    """
    labels = isinstance(spec, TopLabels)
    shown = np.where(np.isnan(scores), np.inf, scores) if labels else scores
    # Changed weights may well give numbers that are not finite.
    with np.errstate(invalid="ignore", over="ignore"):
        changed = np.asarray(~spec.agree(expected, spec.reveal(shown)))
    return changed if labels else changed & np.isfinite(scores).all(axis=1)
