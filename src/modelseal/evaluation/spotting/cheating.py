"""Endpoints of a provider that answers some queries from a clean copy, and how they fare."""

from collections.abc import Sequence

import numpy as np

from modelseal.endpoints.base import Endpoint
from modelseal.evaluation.intervals import Share, measure
from modelseal.fingerprint.record import Fingerprint
from modelseal.outputs.answers import Answers
from modelseal.shapes import Codes
from modelseal.verdict import Outcome
from modelseal.verifying import verify


class SharingEndpoint:
    """Answers a share of all queries from the clean copy, by chance.

    Args:
        clean: The sealed network.
        changed: The one that is served otherwise.
        share: How probable it is that a query goes to the clean copy.
        generator: The source of chance.
    """

    def __init__(
        self,
        clean: Endpoint,
        changed: Endpoint,
        *,
        share: float,
        generator: np.random.Generator,
    ) -> None:
        self.clean = clean
        self.changed = changed
        self.share = share
        self.generator = generator

    def ask(self, codes: Codes) -> Answers:
        """Answers a batch from one of the two.

        Raises:
            EndpointError: That one gave no usable answer.
        """
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
    """How many verifications with sets of so many samples find an endpoint tampered with.

    Args:
        fingerprint: Holds the samples that sets are drawn from, without repeats.
        served: What is verified, one after the other.
        count: The samples in a set.
        runs: How many verifications in all.
        generator: The source of sets and orders.
    """
    caught = 0
    for run in range(runs):
        rows = generator.choice(len(fingerprint), size=count, replace=False)
        verdict = verify(fingerprint.take(rows), served[run % len(served)], generator=generator)
        caught += verdict.outcome is Outcome.TAMPERED
    return measure(caught, runs)
