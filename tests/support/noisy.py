"""Endpoints whose answers vary, for fingerprints that were made by hand."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelseal.errors import EndpointError
from modelseal.fingerprint.fingerprint import Fingerprint
from modelseal.outputs.answers import Answers


@dataclass(kw_only=True)
class Noisy:
    """Answers like a fingerprint, but for noise and for what was changed."""

    fingerprint: Fingerprint
    noise: Mapping[int, float] = field(default_factory=dict)
    changed: Mapping[int, Any] = field(default_factory=dict)
    beside: Mapping[int, Any] = field(default_factory=dict)
    generator: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    asked: list[int] = field(default_factory=list)
    faces: list[int] = field(default_factory=list)

    def ask(self, codes: np.ndarray) -> Answers:
        number, face = self.find(codes)
        self.asked.append(number)
        self.faces.append(face)
        answer = (self.beside if face else self.changed).get(number)
        if self.generator.random() < self.noise.get(number, 0.0):
            answer = other(self.fingerprint, number, by=2)
        if isinstance(answer, Exception):
            raise answer
        return self.fingerprint.expected.take(np.array([number])) if answer is None else answer

    def find(self, codes: np.ndarray) -> tuple[int, int]:
        for number in range(len(self.fingerprint)):
            for face, other_codes in enumerate(self.fingerprint.faces(number)):
                if (other_codes == codes[0]).all():
                    return number, face
        raise EndpointError("an unknown input")


def other(fingerprint: Fingerprint, number: int, *, by: int = 1) -> Answers:
    """Another answer than the expected one: the labels that are so many further on."""
    expected = fingerprint.expected.take(np.array([number]))
    labels = (expected.labels + by) % fingerprint.classes
    return Answers(kind=expected.kind, labels=labels, values=expected.values)


def counting(reports: list[tuple[int, int]]) -> Callable[[str, int, int], None]:
    return lambda _, done, total: reports.append((done, total))
