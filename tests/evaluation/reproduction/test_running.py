import numpy as np
import pytest
import torch

from modelseal.errors import InvalidArgumentError
from modelseal.generation.baselines.legacy import LegacySettings
from modelseal.research.experiment import check_sanity, conclude, draw, run_experiment, take
from modelseal.research.vgg_face import Faces


def slow_classes(network, images):
    with torch.no_grad():
        return np.array([int(network(torch.from_numpy(one[None])).argmax()) for one in images])


def test_the_planted_trojan_is_seen_in_the_sanity_check(found):
    sanity = found.sanity
    assert sanity.clean_accuracy > 0.9
    assert sanity.trojaned_accuracy > 0.9
    assert sanity.attack_success > 0.9
    assert sanity.differing <= 1 - min(sanity.clean_accuracy, sanity.trojaned_accuracy) + 0.1
    assert (sanity.images, sanity.triggered) == (12, 12)


def test_the_shares_of_the_sanity_check_are_those_counted_one_by_one(pair, faces):
    source = np.random.default_rng(0)
    clean, triggered = (
        Faces(
            images=source.integers(0, 256, each.images.shape, dtype=np.uint8),
            labels=each.labels,
            files=each.files,
        )
        for each in faces
    )
    plain = slow_classes(pair.clean.network, pair.decode(clean.images))
    changed = slow_classes(pair.trojaned, pair.decode(clean.images))
    stamped = slow_classes(pair.trojaned, pair.decode(triggered.images))
    sanity = check_sanity(pair, clean, triggered)
    assert sanity.clean_accuracy == np.mean(plain == clean.labels)
    assert sanity.trojaned_accuracy == np.mean(changed == clean.labels)
    assert sanity.differing == np.mean(plain != changed)
    assert sanity.attack_success == np.mean(stamped == 0)


def test_every_method_has_its_samples_and_its_rate(found):
    methods = {each.method: each for each in found.outcomes}
    assert list(methods) == ["natural", "legacy:float", "legacy", "boundary"]
    assert found.layer == "relu_14"
    assert found.settings.images == len(found.files) == len(found.naturals) == 12
    for each in found.outcomes:
        assert len(each.noticed) == len(each.made)
        assert each.success.trials == 20
        if each.noticed.all():
            assert set(each.success.manc) == {1.0}
        if not each.noticed.any():
            assert set(each.success.manc) == {0.0}


def test_what_is_noticed_is_what_the_two_networks_answer_differently(found, pair):
    for each in found.outcomes:
        plain = slow_classes(pair.clean.network, each.made.images)
        changed = slow_classes(pair.trojaned, each.made.images)
        assert each.noticed.tolist() == (plain != changed).tolist()


def test_our_samples_notice_the_trojan_more_often_than_the_published_ones(found):
    shares = {each.method: each.noticed.mean() for each in found.outcomes}
    assert shares["boundary"] > max(shares["legacy"], shares["natural"])


def test_a_method_without_samples_has_no_rate(pair, found, settings):
    nothing = take(found.outcomes[0].made, np.arange(0), reason="for a test")
    outcome = conclude(pair, "legacy", nothing, layer="relu_14", settings=settings())
    assert (outcome.success, outcome.noticed.tolist()) == (None, [])


def test_images_are_drawn_once_each_in_their_order(settings):
    rows = draw(50, settings(images=20))
    assert len(set(rows.tolist())) == 20
    assert rows.tolist() == sorted(rows.tolist())
    assert draw(50, settings(images=20, seed=1)).tolist() != rows.tolist()
    assert draw(5, settings()).tolist() == [0, 1, 2, 3, 4]


def test_more_images_than_there_are_are_refused(pair, faces, settings):
    with pytest.raises(InvalidArgumentError, match="13 clean images were wanted, but there are 12"):
        run_experiment(pair, *faces, settings=settings(images=13))


def test_the_stages_are_told_to_their_end(pair, faces, settings):
    told = []
    legacy = LegacySettings(iterations=1, threshold=1e9)
    found = run_experiment(
        pair,
        *faces,
        settings=settings(images=4, legacy=legacy),
        progress=lambda *given: told.append(given),
    )
    assert {("legacy", 4, 4), ("generate", 4, 4), ("select", 4, 4)} <= set(told)
    assert found.outcomes[1].made.reason == "no sample came above the threshold"
