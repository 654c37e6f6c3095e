import numpy as np
import pytest
import sealed

from modelseal.errors import EndpointError, InvalidArgumentError, PassingError
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.specs import Probabilities, RawScores, TopLabels, TopProbabilities
from modelseal.verification.policy import Clock, Manners
from modelseal.verification.preflight import Natural
from modelseal.verification.preflight import rehearse as rehearse_with

CODES = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
LABELS = np.array([0, 1, 2, 3])


def rehearse(fingerprint, endpoint, images, **manners):
    source = np.random.default_rng(0)
    rehearse_with(fingerprint, endpoint, images, generator=source, manners=Manners(**manners))


class Answering:
    """Answers each input with what a function of its number among the natural images says."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    def ask(self, codes):
        assert len(codes) == 1
        self.asked.append(int(codes[0, 0, 0]) // 6)
        return self.answer(self.asked[-1])


def labels(*shown):
    return Answers(kind=Kind.LABELS, labels=np.array([shown]))


def natural(**settings):
    return Natural(**{"codes": CODES, "labels": LABELS, **settings})


@pytest.mark.parametrize(
    ("shown", "at_least", "right"),
    [
        ([0, 1, 2, 3], 1.0, True),
        ([0, 1, 4, 4], 0.5, True),
        ([4, 4, 2, 3], 0.5, True),
        ([0, 4, 4, 4], 0.5, False),
        ([0, 1, 2, 4], 1.0, False),
        ([0, 1, 4, 4], 0.51, False),
        ([1, 2, 3, 4], 0.5, False),
    ],
)
def test_enough_images_must_be_answered_with_their_class(shown, at_least, right):
    endpoint = Answering(lambda number: labels(shown[number]))
    images = natural(at_least=at_least)
    if right:
        rehearse(sealed.fingerprint(), endpoint, images)
        return
    with pytest.raises(EndpointError, match="natural images were answered with"):
        rehearse(sealed.fingerprint(), endpoint, images)


def test_no_more_is_asked_once_the_share_cannot_be_reached():
    endpoint = Answering(lambda number: labels(4))
    with pytest.raises(EndpointError, match=r"0 of 3 natural images .* 2 of 4 were wanted"):
        rehearse(sealed.fingerprint(), endpoint, natural())
    assert endpoint.asked == [0, 1, 2]


def scores(number):
    return Answers(kind=Kind.SCORES, values=np.eye(5)[[number]] * 3)


def probabilities(number):
    return Answers(kind=Kind.PROBABILITIES, values=np.eye(5)[[number]])


@pytest.mark.parametrize(
    ("spec", "answer"),
    [
        (TopLabels(), scores),
        (RawScores(0.5), scores),
        (Probabilities(3), probabilities),
        (TopLabels(), probabilities),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_the_highest_number_is_the_class(spec, answer):
    rehearse(sealed.fingerprint(spec=spec), Answering(answer), natural(at_least=1.0))


@pytest.mark.parametrize(
    ("spec", "answer", "message"),
    [
        (TopLabels(), labels(5), "labels 0 to 4 were wanted, but 5 came"),
        (TopLabels(3), labels(0, 1), "3 labels were wanted, but 2 came"),
        (RawScores(0.5), labels(0), "raw scores were wanted, but labels came"),
        (RawScores(0.5), probabilities(0), "raw scores were wanted, but probabilities came"),
        (Probabilities(3), labels(0), "probabilities were wanted, but labels came"),
        (TopProbabilities(2, 3), labels(0, 1), "probabilities were wanted, but labels came"),
        (TopLabels(), Answers(kind=Kind.SCORES, values=np.eye(4)[:1]), "one row of 5 scores"),
        (TopLabels(), None, "an answer was wanted, but a NoneType came"),
    ],
)
def test_an_answer_that_the_samples_could_not_be_judged_by_is_found_first(spec, answer, message):
    endpoint = Answering(lambda number: answer)
    with pytest.raises(EndpointError, match=f"^natural image 0 got no usable answer: .*{message}"):
        rehearse(sealed.fingerprint(spec=spec), endpoint, natural())


def test_an_endpoint_that_gives_no_answer_is_not_asked_on():
    def refuse(number):
        raise EndpointError("nobody is there")

    endpoint = Answering(refuse)
    wanted = "natural image 0 got no usable answer: nobody is there"
    with pytest.raises(EndpointError, match=wanted):
        rehearse(sealed.fingerprint(), endpoint, natural())
    assert endpoint.asked == [0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"codes": CODES[:0], "labels": LABELS[:0]}, "0 images and 0 labels came"),
        ({"labels": LABELS[:3]}, "4 images and 3 labels came"),
        ({"at_least": 0.0}, "at_least needs a share above 0"),
        ({"at_least": 1.5}, "at_least needs a share above 0"),
        ({"at_least": np.nan}, "at_least needs a share above 0"),
    ],
)
def test_images_without_a_class_each_or_without_a_share_are_refused(settings, message):
    with pytest.raises(InvalidArgumentError, match=message):
        natural(**settings)


def test_a_fault_that_passes_is_no_fault_of_the_mapping():
    faults = iter([PassingError("busy", wait=0.0), None, None, PassingError("busy"), None, None])

    def answer(number):
        fault = next(faults)
        if fault is not None:
            raise fault
        return labels(number)

    endpoint = Answering(answer)
    rehearse(sealed.fingerprint(), endpoint, natural())
    assert endpoint.asked == [0, 0, 1, 2, 2, 3]
    with pytest.raises(EndpointError, match="natural image 0 got no usable answer: busy"):
        rehearse(sealed.fingerprint(), Answering(fail), natural(), retries=0)


def fail(number):
    raise PassingError("busy")


def passing():
    """A clock that only waits move on, and the seconds that it shows."""
    shown = [0.0]

    def wait(event, seconds):
        shown[0] += seconds

    return Clock(now=lambda: shown[0], wait=wait), shown


def test_natural_images_are_asked_at_the_pace_and_within_the_time_for_all_questions():
    clock, shown = passing()

    def slowly(number):
        shown[0] += 20
        return labels(number)

    endpoint = Answering(slowly)
    with pytest.raises(EndpointError, match="natural image 2 was not asked since the time for all"):
        rehearse(sealed.fingerprint(), endpoint, natural(), time_limit=30.0, clock=clock)
    assert endpoint.asked == [0, 1]
    clock, shown = passing()
    rehearse(sealed.fingerprint(), Answering(labels), natural(), pace=5.0, clock=clock)
    assert shown[0] > 1
    clock, shown = passing()
    shown[0] = 31.0
    with pytest.raises(EndpointError, match="natural image 0 was not asked"):
        rehearse(
            sealed.fingerprint(),
            Answering(labels),
            natural(),
            time_limit=30.0,
            begun=0.0,
            clock=clock,
        )
