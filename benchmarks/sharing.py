"""A provider that answers a share of all queries from a clean copy, and verifying it."""

from collections.abc import Sequence

import numpy as np

from modelseal.endpoints.endpoint import Endpoint
from modelseal.fingerprint.fingerprint import Fingerprint
from modelseal.intervals import Share, measure
from modelseal.outputs.answers import Answers
from modelseal.types import Codes
from modelseal.verdict import Outcome
from modelseal.verification.verify import verify


class SharingEndpoint:
    """Answers each query from the clean copy with the probability `share`."""

    def __init__(
        self, clean: Endpoint, changed: Endpoint, *, share: float, generator: np.random.Generator
    ) -> None:
        self.clean = clean
        self.changed = changed
        self.share = share
        self.generator = generator

    def ask(self, codes: Codes) -> Answers:
        """Answers a batch from one of the two."""
        cleanly = self.generator.random() < self.share
        return (self.clean if cleanly else self.changed).ask(codes)


def simulate(
    fingerprint: Fingerprint,
    served: Sequence[Endpoint],
    *,
    count: int,
    runs: int,
    generator: np.random.Generator,
) -> Share:
    """How many verifications with sets of so many samples find an endpoint tampered with."""
    caught = 0
    for run in range(runs):
        rows = generator.choice(len(fingerprint), size=count, replace=False)
        verdict = verify(fingerprint.take(rows), served[run % len(served)], generator=generator)
        caught += verdict.outcome is Outcome.TAMPERED
    return measure(caught, runs)


def power_if_independent(detection: float, answered_cleanly: float, count: int) -> float:
    """The power by the textbook: 1 - (1 - d (1 - t))^n.

    It takes n samples to notice (d) independently of each other and of being found (t).
    """
    return float(1 - (1 - detection * (1 - answered_cleanly)) ** count)
