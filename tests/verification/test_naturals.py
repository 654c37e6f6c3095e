from contextlib import nullcontext

import numpy as np
import pytest
import sealed
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from refusals import refuses

from modelseal.domain import Domain
from modelseal.errors import BadFileError, EndpointError, InvalidArgumentError, PassingError
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.specs import Probabilities, RawScores, TopLabels, TopProbabilities
from modelseal.verification.natural_images import (
    APART,
    Naturals,
    are_apart,
    check_mapping,
    find_naturals,
    load_decoys,
    mix_decoys,
)
from modelseal.verification.querier import Clock, Querier, QueryPolicy

CODES = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
LABELS = np.array([0, 1, 2, 3])


def check(answer, *, made=None, clock=None, begun=None, at_least=0.5, **policy):
    """Asks natural images of an endpoint that answers by their numbers; gives what was asked."""
    asked = []

    class Answering:
        def ask(self, codes):
            assert len(codes) == 1
            asked.append(int(codes[0, 0, 0]) // 6)
            return answer(asked[-1])

    querier = Querier(
        endpoint=Answering(),
        fingerprint=made or sealed.fingerprint(),
        policy=QueryPolicy(**policy),
        generator=np.random.default_rng(0),
        clock=clock or Clock(),
        begun=begun,
    )
    check_mapping(querier, Naturals(codes=CODES, labels=LABELS, at_least=at_least))
    return asked


def labels(*shown):
    return Answers(kind=Kind.LABELS, labels=np.array([shown]))


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
    with nullcontext() if right else pytest.raises(EndpointError):
        check(lambda number: labels(shown[number]), at_least=at_least)


@pytest.mark.parametrize(
    ("spec", "answer"),
    [
        (TopLabels(), labels(5)),
        (TopLabels(3), labels(0, 1)),
        (RawScores(0.5), labels(0)),
        (RawScores(0.5), Answers(kind=Kind.PROBABILITIES, values=np.eye(5)[:1])),
        (Probabilities(3), labels(0)),
        (TopProbabilities(2, 3), labels(0, 1)),
        (TopLabels(), Answers(kind=Kind.SCORES, values=np.eye(4)[:1])),
        (TopLabels(), None),
    ],
)
def test_an_answer_that_the_samples_could_not_be_judged_by_is_found_first(spec, answer):
    with pytest.raises(EndpointError, match="natural image 0 "):
        check(lambda number: answer, made=sealed.fingerprint(spec=spec))


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("labels", {"codes": CODES[:0], "labels": LABELS[:0]}),
        ("labels", {"labels": LABELS[:3]}),
        ("at_least", {"at_least": 0.0}),
        ("at_least", {"at_least": 1.5}),
        ("at_least", {"at_least": np.nan}),
    ],
)
def test_images_without_a_class_each_or_without_a_share_are_refused(field, settings):
    with refuses(InvalidArgumentError, field=field):
        Naturals(**{"codes": CODES, "labels": LABELS, **settings})


def test_a_fault_that_passes_is_no_fault_of_the_mapping():
    faults = iter([PassingError("busy", wait=0.0), None, None, PassingError("busy"), None, None])

    def answer(number):
        fault = next(faults, PassingError("busy"))
        if fault is not None:
            raise fault
        return labels(number)

    assert check(answer) == [0, 0, 1, 2, 2, 3]
    with pytest.raises(EndpointError, match="natural image 0 "):
        check(answer, retries=0)


@pytest.mark.parametrize(("begun", "last"), [(None, 2), (-31.0, 0)])
def test_natural_images_are_asked_within_the_time_for_all_questions(begun, last):
    shown = [0.0]

    def slowly(number):
        shown[0] += 20
        return labels(number)

    clock = Clock(now=lambda: shown[0], wait=lambda *_: None)
    with pytest.raises(EndpointError, match=f"natural image {last} "):
        check(slowly, time_limit=30.0, begun=begun, clock=clock)


# Where they are found

DOMAIN = Domain(shape=(1, 4, 4))
NAMES = ("ant", "bee", "cat", "dog", "elk")
FINGERPRINT = sealed.fingerprint(domain=DOMAIN, names=NAMES)
IMAGES = np.arange(20 * 16, dtype=np.int64).reshape(20, 4, 4).astype(np.uint8)
CLASSES = np.arange(20) % 5
ENDPOINT = '[endpoint]\nkind = "http"\nurl = "http://host/x"\n'


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes images, labels and an endpoint.toml that speaks of them."""

    monkeypatch.chdir(tmp_path)
    folder = tmp_path

    def put(check="", *, answer="", **arrays):
        np.savez(folder / "few.npz", **({"images": IMAGES, "labels": CLASSES} | arrays))
        (folder / "endpoint.toml").write_text(f"{ENDPOINT}{answer}{check}", encoding="utf-8")
        return folder

    return put


def find(endpoint="endpoint.toml", check=None):
    return find_naturals(endpoint, FINGERPRINT, file=check)


def test_images_and_labels_of_the_file_that_the_user_names_are_taken(write):
    found = find("http://host/invocations", write() / "few.npz")
    assert len(found.codes) == 16
    assert found.at_least == 0.5
    rows = np.linspace(0, 19, 16).round().astype(int)
    assert np.array_equal(found.codes[:, 0], IMAGES[rows])
    assert found.labels.tolist() == CLASSES[rows].tolist()


@pytest.mark.parametrize(
    ("more", "labels"),
    [
        ("", [0, 4]),
        ("labels = [1, 2]", [1, 2]),
        ('labels = ["cat", "elk"]', [2, 4]),
        ('labels_file = "labels.txt"', [3, 0]),
    ],
)
def test_labels_are_numbers_or_names_from_where_the_file_says(write, more, labels):
    few = {"images": IMAGES[[0, 4]], "labels": CLASSES[[0, 4]]}
    folder = write(f'[check]\nimages = "few.npz"\nat_least = 0.75\n{more}\n', **few)
    (folder / "labels.txt").write_text("dog\n0\n")
    found = find()
    assert (found.labels.tolist(), found.at_least) == (labels, 0.75)


def test_a_folder_of_images_is_read_in_order_of_its_names(write):
    folder = write('[check]\nimages = "few"\nlabels = [4, 0]\n')
    (folder / "few").mkdir()
    for name, image in zip(("b.png", "a.png"), IMAGES, strict=False):
        Image.fromarray(image).save(folder / "few" / name)
    found = find()
    assert np.array_equal(found.codes[:, 0], IMAGES[[1, 0]])
    assert found.labels.tolist() == [4, 0]


@pytest.mark.parametrize(
    ("file", "more", "arrays"),
    [
        ("missing.npz", 'images = "missing.npz"', {}),
        ("few.npz", 'images = "few.npz"\nlabels = [1]', {}),
        ("few.npz", 'images = "few.npz"', {"labels": CLASSES[:3]}),
        ("few.npz", 'images = "few.npz"', {"labels": CLASSES / 2}),
        ("few.npz", 'images = "few.npz"', {"labels": CLASSES[:, None]}),
        ("few.npz", 'images = "few.npz"', {"labels": np.array([None] * 20)}),
        ("few.npz", 'images = "few.npz"', {"labels": CLASSES + 1}),
        ("few.npz", 'images = "few.npz"', {"labels": np.array(["x"] * 20)}),
        ("no.txt", 'images = "few.npz"\nlabels_file = "no.txt"', {}),
        ("few.npz", 'images = "few.npz"\nlabels_file = "few.npz"', {}),
        (".", 'images = "."\n', {}),
        ("few.npz", 'images = "few.npz"', {"labels": np.array(0)}),
    ],
)
def test_images_or_labels_that_do_not_fit_are_a_bad_file(write, file, more, arrays):
    write(f"[check]\n{more}\n", **arrays)
    with refuses(BadFileError, file=file):
        find()


# Decoys


def plain(count=3):
    """Samples with values of their own, so that natural inputs can be far from all of them."""
    samples = np.full((count, *DOMAIN.shape), 40, np.uint8)
    samples[:, 0, 0, 0] = np.arange(count)
    return sealed.fingerprint(domain=DOMAIN, samples=samples, count=count)


FAR = np.random.default_rng(0).integers(120, 256, (5, *DOMAIN.shape), dtype=np.uint8)


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 2**32))
def test_mixing_keeps_the_order_of_samples_and_every_decoy(count, decoys, seed):
    generator = np.random.default_rng(seed)
    order = generator.permutation(7)[:count].tolist()
    mixed = mix_decoys(order, first=7, count=decoys, generator=generator)
    assert [number for number in mixed if number < 7] == order
    found = sorted(number for number in mixed if number >= 7)
    assert found == (list(range(7, 7 + decoys)) if count else [])


def test_no_decoy_is_drawn_twice_or_is_close_to_a_sample(tmp_path):
    made, path = plain(), tmp_path / "stock.npz"
    close = made.samples.copy()
    close[:, 0, 1] += 5
    np.savez(path, images=np.concatenate([FAR, close, made.samples])[:, 0])
    drawn = load_decoys((path, 5), made, np.random.default_rng(3))
    assert sorted(each.tobytes() for each in drawn) == sorted(each.tobytes() for each in FAR)
    with refuses(BadFileError, file=path):
        load_decoys((path, 6), made, np.random.default_rng(3))


@pytest.mark.parametrize("decoys", [np.zeros((2, 1, 5, 5), np.uint8), plain().samples])
def test_inputs_of_another_shape_and_the_samples_themselves_are_no_decoys(decoys):
    with refuses(InvalidArgumentError):
        load_decoys(decoys, plain(), np.random.default_rng(0))


@pytest.mark.parametrize("levels", [256, 0])
def test_apart_means_by_root_mean_square_in_shares_of_the_span(levels):
    domain = Domain(shape=(4,), bounds=(-2.0, 2.0), levels=levels)
    made = sealed.fingerprint(domain=domain, count=1)
    sample = domain.decode(made.samples)
    steps = np.array([APART - 0.01, APART + 0.01, 0.5]) * domain.span
    stock = domain.encode(sample + np.where(sample < 0, 1, -1) * steps[:, None])
    assert are_apart(stock, made).tolist() == [False, True, True]
