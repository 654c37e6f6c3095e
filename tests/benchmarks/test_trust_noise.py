from scipy.stats import binom

from trust_noise import noise_figures


def test_few_deployments_give_the_figures_that_many_will():
    figures = noise_figures(deployments=5)
    most = binom.ppf(0.999, 5, figures["trust.noisy_alpha"])
    assert figures["trust.noisy_deployments"] == figures["trust.deterministic_deployments"] == 5
    assert figures["trust.noisy_false_alarms"] <= most
    assert figures["trust.deterministic_false_alarms"] == 0
    assert 0 < figures["trust.noisy_differing"] < 0.2
    assert figures["trust.noisy_power"] > 0.8
    assert figures["trust.noisy_missed"] <= 1
    assert figures["trust.queries_tampered"] < figures["trust.queries_intact"] < 200
    assert figures["trust.deterministic_queries_intact"] == 64
