from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import sealed
from hypothesis import given
from hypothesis import strategies as st

from modelseal.domain import Domain
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.fingerprint.codec import encode
from modelseal.verdict import Outcome
from modelseal.verification.decoys import APART, are_apart, draw_cover, is_cover, mix, take_question
from modelseal.verification.policy import Manners
from modelseal.verification.querier import Depth
from modelseal.verification.verify import verify

DOMAIN = Domain(shape=(1, 4, 4))


def fingerprint(count=3, **changes):
    """Samples with values of their own, so that natural inputs can be far from all of them."""
    samples = np.full((count, *DOMAIN.shape), 40, np.uint8)
    samples[:, 0, 0, 0] = np.arange(count)
    return sealed.fingerprint(domain=DOMAIN, samples=samples, count=count, **changes)


def naturals(count=5):
    return np.random.default_rng(0).integers(120, 256, (count, *DOMAIN.shape), dtype=np.uint8)


class Answering:
    """Answers samples as expected and cover by a script, and keeps what came."""

    def __init__(self, made, cover=None, samples=None):
        self.made, self.cover, self.samples, self.came = made, cover, samples, []

    def ask(self, codes):
        (match,) = np.nonzero((self.made.samples == codes).all(axis=(1, 2, 3)))
        self.came.append(int(match[0]) if len(match) else "cover")
        script = self.samples if len(match) else self.cover
        codes[:] = 0  # an endpoint that spoils its input spoils nothing else
        if isinstance(script, Exception):
            raise script
        return self.made.expected.take(match if len(match) else np.array([0]))


def run(made, endpoint, *, count=5, seed=0, **settings):
    cover = draw_cover(naturals(), made, count=count, generator=np.random.default_rng(seed))
    manners = Manners(cover=cover, retries=0, **settings)
    return verify(made, endpoint, generator=np.random.default_rng(seed), manners=manners)


def test_an_intact_model_is_intact_whatever_it_says_of_cover():
    made = fingerprint()
    endpoint = Answering(made)
    verdict = run(made, endpoint)
    assert verdict.outcome is Outcome.INTACT
    assert sorted(entry.sample for entry in verdict.evidence) == [0, 1, 2]
    assert Counter(endpoint.came) == {0: 1, 1: 1, 2: 1, "cover": 5}
    assert [each for each in endpoint.came if each != "cover"] == [
        entry.sample for entry in verdict.evidence
    ]


def test_cover_that_is_not_answered_is_no_evidence():
    made = fingerprint()
    # Cover and samples take turns: three silences in a row never come about.
    verdict = run(made, Answering(made, cover=EndpointError("lost")), count=1)
    assert verdict.outcome is Outcome.INTACT


def test_silence_to_cover_and_to_samples_adds_up_until_the_endpoint_is_left_alone():
    made = fingerprint(count=8)
    endpoint = Answering(made, EndpointError("lost"), EndpointError("lost"))
    verdict = run(made, endpoint)
    assert len(endpoint.came) == 3
    assert verdict.outcome is Outcome.UNDECIDED
    assert "3 times in a row no answer came" in verdict.reason


def test_silence_to_cover_alone_can_end_the_asking_but_is_never_intact():
    made = fingerprint(count=1)
    ended = [run(made, Answering(made, EndpointError("lost")), seed=seed) for seed in range(20)]
    assert {verdict.outcome for verdict in ended} == {Outcome.INTACT, Outcome.UNDECIDED}
    for verdict in ended:
        assert (verdict.outcome is Outcome.INTACT) == (len(verdict.evidence) == 1)


def test_several_questions_at_once_cover_as_well():
    made = fingerprint(count=6)
    endpoint = Answering(made)
    verdict = run(made, endpoint, concurrency=3)
    assert verdict.outcome is Outcome.INTACT
    assert Counter(map(str, endpoint.came))["cover"] == 5


def test_answers_to_cover_are_not_noted():
    made, noted = fingerprint(), []
    run(made, Answering(made), note=lambda number, answer: noted.append(number))
    assert sorted(noted) == [0, 1, 2]


def test_nothing_is_covered_if_every_sample_is_known_from_earlier():
    made = fingerprint()
    endpoint = Answering(made)
    known = {number: made.expected.take(np.array([number])) for number in range(3)}
    assert run(made, endpoint, known=known).outcome is Outcome.INTACT
    assert endpoint.came == []


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 2**32))
def test_mixing_keeps_the_order_of_samples_and_every_piece_of_cover(count, covering, seed):
    made, generator = fingerprint(count=7), np.random.default_rng(seed)
    order = generator.permutation(7)[:count].tolist()
    cover = tuple(naturals(covering)[[row]] for row in range(covering))
    mixed = mix(order, made, cover, generator)
    assert [number for number in mixed if not is_cover(number, made)] == order
    found = sorted(number for number in mixed if is_cover(number, made))
    assert found == (list(range(7, 7 + covering)) if count else [])


def test_every_place_is_as_likely():
    made, generator = fingerprint(count=2), np.random.default_rng(0)
    cover = tuple(naturals(2)[[row]] for row in range(2))
    places = Counter(
        tuple(is_cover(number, made) for number in mix([0, 1], made, cover, generator))
        for _ in range(6000)
    )
    # Six ways, 1000 each: a standard deviation is 29.
    assert len(places) == 6
    assert all(abs(count - 1000) < 150 for count in places.values())


def test_what_is_sent_may_be_spoiled_without_harm():
    made = fingerprint()
    cover = draw_cover(naturals(), made, count=2, generator=np.random.default_rng(0))
    before = encode(made), [each.copy() for each in cover]
    for number in range(5):
        take_question(number, made, cover)[:] = 7
    assert encode(made) == before[0]
    assert all((a == b).all() for a, b in zip(cover, before[1], strict=True))


def test_no_cover_is_drawn_twice_or_is_close_to_a_sample():
    made = fingerprint()
    close = made.samples.copy()
    close[:, 0, 1] += 5
    stock = np.concatenate([naturals(), close, made.samples])
    drawn = draw_cover(stock, made, count=5, generator=np.random.default_rng(3))
    assert sorted(each.tobytes() for each in drawn) == sorted(each.tobytes() for each in naturals())
    with pytest.raises(InvalidArgumentError, match=r"6 natural inputs .* but there are 5 of 11"):
        draw_cover(stock, made, count=6, generator=np.random.default_rng(3))


@pytest.mark.parametrize("levels", [256, 0])
def test_apart_means_by_root_mean_square_in_shares_of_the_span(levels):
    domain = Domain(shape=(4,), bounds=(-2.0, 2.0), levels=levels)
    made = sealed.fingerprint(domain=domain, count=1)
    sample = domain.decode(made.samples)
    steps = np.array([APART - 0.01, APART + 0.01, 0.5]) * domain.span
    stock = domain.encode(sample + np.where(sample < 0, 1, -1) * steps[:, None])
    assert are_apart(stock, made).tolist() == [False, True, True]


def test_inputs_of_another_shape_are_refused():
    made = replace(fingerprint())
    with pytest.raises(InvalidArgumentError, match="inputs need shape"):
        draw_cover(
            np.zeros((2, 1, 5, 5), np.uint8), made, count=1, generator=np.random.default_rng(0)
        )


def test_a_proof_ends_the_asking_among_cover_too():
    made = fingerprint()
    other = made.expected.take(np.array([1, 2, 0]))
    lying = sealed.fingerprint(domain=DOMAIN, samples=made.samples, expected=other)
    endpoint = Answering(lying)
    cover = draw_cover(naturals(), made, count=5, generator=np.random.default_rng(0))
    verdict = verify(
        made,
        endpoint,
        generator=np.random.default_rng(0),
        depth=Depth.FIRST_PROOF,
        manners=Manners(cover=cover),
    )
    assert verdict.outcome is Outcome.TAMPERED
    assert len(verdict.evidence) <= 3
