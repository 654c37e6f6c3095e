import re

import numpy as np
import pytest
import sealed
from noisy import Noisy, counting, other
from refusals import refuses

from modelseal.errors import EndpointError, InvalidArgumentError, SealingError
from modelseal.fingerprint.file_format import decode, encode
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.specs import Probabilities, RawScores
from modelseal.verdict import Outcome
from modelseal.verification.enrollment import ALPHA, enroll
from modelseal.verification.ledger import open_ledger, read_ledger
from modelseal.verification.querier import QueryPolicy
from modelseal.verification.sequential import SequentialPolicy
from modelseal.verification.verify import verify

NAMES = ("ant", "bee", "cat", "dog", "elk")


def run(made, *, endpoint=None, seed=3, **settings):
    trusted = Noisy(fingerprint=made, **(endpoint or {}))
    enrolled = enroll(made, trusted, generator=np.random.default_rng(seed), **settings)
    return enrolled, trusted


@pytest.mark.parametrize("spec", sealed.SPECS, ids=str)
@pytest.mark.parametrize("domain", sealed.DOMAINS, ids=str)
def test_a_deterministic_deployment_of_the_sealed_weights_enrols_with_the_sealed_answers(
    domain, spec
):
    made = sealed.fingerprint(domain=domain, spec=spec, count=4, power=sealed.LIMITS)
    enrolled, trusted = run(made)
    found = enrolled.enrollment
    assert (found.repeats, found.asked, found.alpha) == (30, 4, ALPHA)
    assert (found.differing, found.otherwise) == ((0,) * 4, (False,) * 4)
    assert found.endpoint == "Noisy"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found.created)
    assert enrolled.expected.describe(2) == made.expected.describe(2)
    assert enrolled.power == sealed.LIMITS
    assert np.bincount(trusted.asked).tolist() == [30] * 4
    assert (
        verify(
            decode(encode(enrolled), name="a.seal"),
            Noisy(fingerprint=made),
            generator=np.random.default_rng(0),
        ).outcome
        is Outcome.INTACT
    )


def test_samples_that_are_not_steady_are_dropped_and_the_power_with_them():
    made = sealed.fingerprint(count=6, power=sealed.LIMITS)
    enrolled, _ = run(made, endpoint={"noise": {1: 0.5, 4: 0.5}})
    assert len(enrolled) == 4
    assert (enrolled.samples == made.samples[[0, 2, 3, 5]]).all()
    assert (enrolled.enrollment.asked, enrolled.power) == (6, ())


def test_a_deployment_that_answers_otherwise_is_refused_with_what_it_says():
    made = sealed.fingerprint(count=4, names=NAMES)
    with pytest.raises(SealingError, match=r"sample 2: ant in place of elk"):
        run(made, endpoint={"changed": {2: other(made, 2)}})


def test_other_answers_are_expected_from_then_on_if_they_are_accepted():
    made = sealed.fingerprint(count=4, names=NAMES, power=sealed.LIMITS)
    changed = {2: other(made, 2)}
    enrolled, trusted = run(made, endpoint={"changed": changed}, accept_other=True)
    assert enrolled.enrollment.otherwise == (False, False, True, False)
    assert enrolled.expected.labels[2] == changed[2].labels[0]
    assert enrolled.power == ()
    source = np.random.default_rng(0)
    assert verify(enrolled, trusted, generator=source).outcome is Outcome.INTACT
    sealed_one = Noisy(fingerprint=made)
    assert verify(enrolled, sealed_one, generator=source).outcome is Outcome.TAMPERED


@pytest.mark.parametrize("spec", [Probabilities(2), Probabilities(4)], ids=str)
def test_the_answer_that_came_most_often_is_taken_where_noise_is_about(spec):
    made = sealed.fingerprint(count=2, spec=spec)
    scores = np.array([[0.1, 0.2, 0.9, 0.3, 0.4]])
    usual, rare = spec.reveal(scores), spec.reveal(scores * -3)
    if spec == Probabilities(4):  # a server that shows its numbers with three digits
        usual = Answers(kind=usual.kind, values=usual.values.round(3), digits=3)
    source = np.random.default_rng(2)

    class Wavering(Noisy):
        def ask(self, codes):
            return rare if source.random() < 0.05 else usual

    enrolled = enroll(
        made,
        Wavering(fingerprint=made),
        accept_other=True,
        repeats=60,
        generator=np.random.default_rng(0),
    )
    assert enrolled.enrollment.otherwise == (True, True)
    assert enrolled.expected.values.tolist() == [usual.values[0].tolist()] * 2
    assert decode(encode(enrolled), name="a.seal").enrollment == enrolled.enrollment


def test_too_few_steady_samples_are_refused():
    noise = dict.fromkeys((0, 1, 2), 0.5)
    with pytest.raises(SealingError, match="at least 2 of 4 samples"):
        run(sealed.fingerprint(count=4), endpoint={"noise": noise})


def test_too_few_repeats_are_refused_before_any_query():
    reports = []
    with refuses(InvalidArgumentError, field="repeats"):
        run(sealed.fingerprint(count=4), repeats=14, progress=counting(reports))
    assert reports == []
    assert len(run(sealed.fingerprint(count=4), repeats=15)[0]) == 4


@pytest.mark.parametrize(
    ("field", "value"),
    [("repeats", 0), ("alpha", 0.0), ("most_unstable", 0.51), ("most_unstable", float("nan"))],
)
def test_numbers_out_of_their_range_are_refused_with_their_field(field, value):
    with refuses(InvalidArgumentError, field=field):
        run(sealed.fingerprint(), **{field: value})


@pytest.mark.parametrize(
    "answer",
    [
        EndpointError("no route to host"),
        Answers(kind=Kind.SCORES, values=np.ones((1, 4))),
        Answers(kind=Kind.LABELS, labels=np.array([[7]])),
    ],
    ids=["none", "scores", "an unknown label"],
)
def test_an_answer_that_cannot_be_used_ends_the_enrollment(answer):
    with pytest.raises(EndpointError, match="sample 1: "):
        run(sealed.fingerprint(), endpoint={"changed": {1: answer}})


def test_no_query_is_sent_after_the_time():
    with pytest.raises(EndpointError):
        run(sealed.fingerprint(), policy=QueryPolicy(time_limit=1e-9))


def test_all_samples_are_entered_in_a_ledger_that_is_there_and_none_is_begun(tmp_path):
    made = sealed.fingerprint(count=4)
    run(made, ledger=tmp_path / "l")
    assert not (tmp_path / "l").exists()
    open_ledger(tmp_path / "l", made, per_check=2)
    run(made, ledger=tmp_path / "l")
    assert read_ledger(tmp_path / "l").uses.tolist() == [1] * 4


@pytest.mark.parametrize("accept_other", [False, True])
def test_accepted_answers_cannot_be_washed_away_by_a_new_enrollment(accept_other):
    made = sealed.fingerprint(enrollment=sealed.enrolment())
    with refuses(InvalidArgumentError, field="fingerprint"):
        run(made, accept_other=accept_other)


def test_neighbours_are_asked_like_their_sample_and_count_against_it():
    made = sealed.fingerprint(count=4, neighbours=sealed.NEIGHBOURS)
    enrolled, trusted = run(made)
    assert set(trusted.faces) == {0, 1, 2}
    assert enrolled.neighbours.tolist() == sealed.NEIGHBOURS.tolist()
    few, _ = run(made, endpoint={"beside": {1: other(made, 1)}})
    assert len(few) == 3


def test_what_was_enrolled_strictly_can_be_verified_strictly_only():
    enrolled, trusted = run(sealed.fingerprint(count=4), repeats=20)
    with refuses(InvalidArgumentError, field="alpha"):
        verify(enrolled, trusted, sequential=SequentialPolicy(alpha=1e-6))


def test_other_raw_scores_cannot_be_accepted_since_no_bound_is_known_for_them():
    made = sealed.fingerprint(spec=RawScores(0.25), count=4)
    with refuses(InvalidArgumentError, field="accept_other"):
        run(made, accept_other=True)
    assert run(made)[0].enrollment.otherwise == (False,) * 4
