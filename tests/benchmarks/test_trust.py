import json
import sys
from functools import partial

import trust
from trust_noise import noise_figures


def test_the_figures_have_the_names_that_documents_and_other_benchmarks_rely_on(
    tmp_path, monkeypatch
):
    written = {}
    monkeypatch.setattr(sys, "argv", ["trust.py"])
    monkeypatch.setattr(trust, "RESULTS", tmp_path)
    monkeypatch.setattr(trust, "CASES", 30)
    monkeypatch.setattr(trust, "ROUNDS", 2)
    monkeypatch.setattr(trust, "noise_figures", partial(noise_figures, deployments=2))
    monkeypatch.setattr(trust, "write", written.__setitem__)
    trust.main()
    figures, details = written["trust"]["figures"], written["trust"]["details"]
    noise = {name for name in figures if name.startswith(NOISE)}
    assert noise == set(noise_figures(deployments=1))
    costs = details["query_overhead"]
    assert figures.pop("trust.query_overhead_ms") == costs["uint8"]["overhead_ms"]
    assert figures.pop("trust.query_overhead_fp32_ms") == costs["fp32"]["overhead_ms"]
    assert all(each["verify_ms"] > 0 for each in costs.values())
    assert figures.pop("trust.fuzz_slowest_s") > 0
    assert {name: figures[name] for name in figures.keys() - noise} == {
        "trust.fuzzed_answers": 30,
        "trust.fuzzed_files": 30,
        "trust.fuzz_tracebacks": 0,
        "trust.fuzz_intact": 0,
    }
    assert set(details) == {"fuzzed_answers", "fuzzed_files", "query_overhead"}


NOISE = ("trust.noisy_", "trust.deterministic_", "trust.queries_")


def test_a_part_that_is_measured_anew_leaves_the_others(tmp_path, monkeypatch):
    written = {}
    before = {"figures": {"a": 1.0, "b": 2.0}, "details": {"a": "x"}}
    (tmp_path / "trust.json").write_text(json.dumps(before), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["trust.py", "overhead"])
    monkeypatch.setattr(trust, "RESULTS", tmp_path)
    monkeypatch.setattr(trust, "PARTS", {"overhead": lambda: ({"b": 3.0}, {"b": "y"})})
    monkeypatch.setattr(trust, "write", written.__setitem__)
    trust.main()
    assert written == {"trust": {"figures": {"a": 1.0, "b": 3.0}, "details": {"a": "x", "b": "y"}}}
