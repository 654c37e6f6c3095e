import json

import numpy as np
import pytest
import sealed

import trust_spotting
from modelseal.evaluation.adversary.detectors import separate
from modelseal.evaluation.adversary.router import power_of_routing, power_of_sharing
from modelseal.evaluation.adversary.spotter import HIGH_FREQUENCY, NEIGHBOURS, NETWORKS

NOTICED = {
    "one": np.random.default_rng(0).random((4, 80)) < 0.8,
    "other": np.random.default_rng(1).random((1, 80)) < 0.3,
}


def separations():
    random = np.random.default_rng(2)
    return {
        name: separate(name, random.normal(shift, 1, 80), random.normal(0, 1, 90))
        for shift, name in enumerate((*HIGH_FREQUENCY, *NETWORKS, *NEIGHBOURS))
    }


def test_the_figures_have_the_power_for_every_share_and_the_share_at_which_it_breaks():
    figures = trust_spotting.tell_shares(NOTICED)
    # Every change counts once, however many networks it has.
    parts = [power_of_sharing(rows, 0.5, 8) for rows in NOTICED.values()]
    assert figures["trust.power_q_0_5_n_8"] == pytest.approx(sum(parts) / 2)
    broken = figures["trust.breaking_share_n_64"]
    assert trust_spotting.power(NOTICED, broken, 64) == pytest.approx(0.95)
    assert figures["trust.breaking_share_n_1"] == pytest.approx(0, abs=1e-12)


def test_the_best_detector_of_each_kind_is_told_and_the_best_of_all_routes():
    found = separations()
    figures = trust_spotting.tell_separations(found)
    best = max(found[name].auc for name in NETWORKS)
    assert figures["trust.spotting_auc_network"] == best
    assert figures["trust.spotting_auc_network_low"] < best
    assert figures["trust.spotting_auc_neighbour"] == found[NEIGHBOURS[0]].auc
    assert figures["trust.spotting_auc.noise_level"] == found["noise level"].auc
    scores = {name: np.linspace(-3, 6, 80) for name in found}
    figures = trust_spotting.tell_routed(NOTICED, found, scores, np.ones(80, bool))
    best = max((*HIGH_FREQUENCY, *NETWORKS), key=lambda name: found[name].auc)
    threshold = found[best].rates[0].threshold
    parts = [power_of_routing(rows, scores[best] > threshold, 8) for rows in NOTICED.values()]
    assert figures["trust.routed_at_1_percent_n_8"] == pytest.approx(np.mean(parts))


def test_verifying_comes_to_what_was_computed(monkeypatch):
    monkeypatch.setattr(trust_spotting, "COUNTS", (1, 8))
    monkeypatch.setattr(trust_spotting, "RUNS", 200)
    monkeypatch.setattr(trust_spotting, "SIMULATED", (0.5, 0.9))
    random = np.random.default_rng(0)
    samples = random.integers(0, 256, (80, 2, 3), dtype=np.uint8)
    made = sealed.fingerprint(count=80, samples=samples)
    clean = random.random((80, 5))
    clean[np.arange(80), made.expected.labels[:, 0]] = 2
    changed = {
        name: [np.where(row[:, None], -clean, clean) for row in rows]
        for name, rows in NOTICED.items()
    }
    noticed = {name: trust_spotting.compare(clean, rows) for name, rows in changed.items()}
    assert (noticed["one"] == NOTICED["one"]).all()
    figures = trust_spotting.tell_simulated(made, clean, changed, random)
    for q in trust_spotting.SIMULATED:
        for n in trust_spotting.COUNTS:
            found = figures[trust_spotting.name("simulated", q, n)]
            # 100 runs of each change: a standard deviation of their mean is 0.036 at most.
            assert found == pytest.approx(trust_spotting.power(noticed, q, n), abs=0.15)


def test_the_figure_is_drawn_from_what_was_written(tmp_path, monkeypatch):
    monkeypatch.setattr(trust_spotting, "RESULTS", tmp_path)
    details = {
        "shares": [0.0, 0.5, 1.0],
        "power": {"8": [1.0, 0.9, 0.0]},
        "simulated": {"8": [[0.5, 0.88]]},
    }
    text = json.dumps({"figures": {}, "details": details})
    (tmp_path / "trust_spotting.json").write_text(text)
    drawing = trust_spotting.draw_share(trust_spotting.read_details())
    assert drawing.startswith(b"\x89PNG")
