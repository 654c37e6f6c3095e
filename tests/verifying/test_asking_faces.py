from dataclasses import replace

import numpy as np
import sealed
from noisy import Noisy, other

from modelseal.errors import EndpointError
from modelseal.verdict import Outcome
from modelseal.verification.policy import Clock, Faces, Manners
from modelseal.verification.querier import Asker, Unasked
from modelseal.verification.verify import verify

ALL = Manners(faces=Faces.ALL)
PAST = Clock(now=lambda: 0.0, wait=lambda event, seconds: None)


def run(made, manners=ALL, **endpoint):
    asked = Noisy(fingerprint=made, **endpoint)
    return verify(made, asked, generator=np.random.default_rng(1), manners=manners), asked


def guarded():
    return sealed.fingerprint(count=4, neighbours=sealed.NEIGHBOURS)


def test_every_sample_and_every_neighbour_is_asked_if_that_is_wanted():
    verdict, asked = run(guarded())
    assert verdict.outcome is Outcome.INTACT
    assert len(verdict.evidence) == 4
    assert sorted(zip(asked.asked, asked.faces, strict=True)) == [
        (0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (3, 0), (3, 1), (3, 2)
    ]  # fmt: skip
    assert set(run(guarded(), Manners())[1].faces) == {0}


def test_a_differing_answer_of_a_neighbour_counts_as_the_samples():
    made = guarded()
    verdict, _ = run(made, beside={2: other(made, 2)})
    assert verdict.outcome is Outcome.TAMPERED
    assert verdict.evidence[-1].sample == 2
    assert run(made, Manners(), beside={2: other(made, 2)})[0].outcome is Outcome.INTACT


def test_a_neighbour_without_an_answer_leaves_its_sample_unclear():
    verdict, _ = run(guarded(), beside={2: EndpointError("busy")})
    assert verdict.outcome is Outcome.UNDECIDED


def test_a_sample_without_neighbours_is_asked_by_itself():
    verdict, asked = run(replace(guarded(), neighbours=None))
    assert (verdict.outcome, len(asked.asked)) == (Outcome.INTACT, 4)


def test_the_order_of_the_faces_is_random():
    orders = {
        tuple(zip(asked.asked, asked.faces, strict=True))
        for seed in range(9)
        for asked in [Noisy(fingerprint=guarded())]
        if verify(guarded(), asked, generator=np.random.default_rng(seed), manners=ALL)
    }
    assert len(orders) == 9


def test_there_is_a_pause_between_faces_and_none_is_asked_after_the_time():
    waited, now = [], [0.0]

    def wait(event, seconds):
        waited.append(seconds)
        now[0] += seconds

    clock = Clock(now=lambda: now[0], wait=wait)
    made = guarded()
    verdict, asked = run(made, Manners(faces=Faces.ALL, pace=2.0, clock=clock))
    assert (verdict.outcome, len(asked.asked)) == (Outcome.INTACT, 11)
    assert len(waited) >= 7
    now[0], limited = 0.0, Manners(faces=Faces.ALL, pace=2.0, clock=clock, time_limit=4.0)
    verdict, asked = run(made, limited)
    assert verdict.outcome is Outcome.UNDECIDED
    assert len(asked.asked) < 11


def test_a_sample_whose_neighbours_were_not_all_asked_does_not_agree():
    now, made = [0.0], guarded()

    class Slow(Noisy):
        def ask(self, codes):
            now[0] += 1.0
            return super().ask(codes)

    clock = Clock(now=lambda: now[0], wait=lambda *_: None)
    manners = Manners(faces=Faces.ALL, clock=clock, time_limit=9.5)
    endpoint = Slow(fingerprint=made)
    verdict = verify(made, endpoint, generator=np.random.default_rng(1), manners=manners)
    assert len(endpoint.asked) == 10
    assert verdict.evidence[-1].reason == "not all neighbours were asked in time"
    assert verdict.outcome is Outcome.UNDECIDED


def test_what_ended_while_neighbours_were_asked_was_not_asked_in_vain_or_too_late():
    made, noted = guarded(), []
    manners = replace(ALL, pace=1.0, note=lambda *each: noted.append(each), clock=PAST)
    asker = Asker(
        Noisy(fingerprint=made), made, manners=manners, generator=np.random.default_rng(0)
    )
    assert asker.take_turn(0) is None
    asker.end()  # as another thread's proof of tampering does
    assert asker.send_faces(0) is Unasked.ENDED
    assert asker.ask(1) is Unasked.ENDED
    assert noted == []
