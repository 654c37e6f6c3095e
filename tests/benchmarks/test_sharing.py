import numpy as np
import pytest
import sealed

from modelseal.domain import Domain
from modelseal.evaluation.adversary.router import power_of_sharing
from sharing import SharingEndpoint, power_if_independent, simulate

COUNT = 12
SEAL = sealed.fingerprint(count=COUNT, domain=Domain(shape=(1, 4, 4)))
NOTICED = np.random.default_rng(1).random((3, COUNT)) < 0.4


def number_of(codes):
    (found,) = np.flatnonzero((SEAL.samples == codes).all(axis=(1, 2, 3)))
    return int(found)


class Serving:
    """Answers as expected, but for the samples that notice."""

    def __init__(self, noticed):
        self.noticed = noticed

    def ask(self, codes):
        number = number_of(codes)
        answer = SEAL.expected.take(np.array([number]))
        answer.labels[:] = (answer.labels + self.noticed[number]) % SEAL.classes
        return answer


CLEAN = Serving(np.zeros(COUNT, bool))


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("count", [1, 4, 8])
def test_verifying_a_sharing_provider_succeeds_as_often_as_computed(share, count):
    generator = np.random.default_rng(0)
    served = [
        SharingEndpoint(CLEAN, Serving(row), share=share, generator=generator) for row in NOTICED
    ]
    found = simulate(SEAL, served, count=count, runs=600, generator=generator)
    expected = power_of_sharing(NOTICED, share, count)
    # Four standard deviations of 600 draws, and a little for powers near 0 and 1.
    assert found.value == pytest.approx(
        expected, abs=4 * np.sqrt(expected * (1 - expected) / 600) + 0.01
    )


def test_a_provider_that_answers_all_from_the_clean_copy_is_never_caught():
    generator = np.random.default_rng(0)
    all_differ = Serving(np.ones(COUNT, bool))
    served = [SharingEndpoint(CLEAN, all_differ, share=1.0, generator=generator)]
    assert simulate(SEAL, served, count=8, runs=20, generator=generator).part == 0
    served = [SharingEndpoint(CLEAN, all_differ, share=0.0, generator=generator)]
    assert simulate(SEAL, served, count=8, runs=20, generator=generator).part == 20


def test_many_independent_samples_come_near_to_the_textbook():
    noticed = np.random.default_rng(0).random((60, 400)) < 0.7
    for share, count in ((0.0, 1), (0.5, 4), (0.9, 16)):
        exact = power_of_sharing(noticed, share, count)
        assert exact == pytest.approx(power_if_independent(0.7, share, count), abs=0.02)
