import trust


def test_the_figures_have_the_names_that_documents_and_other_benchmarks_rely_on(monkeypatch):
    written = {}
    monkeypatch.setattr(trust, "CASES", 30)
    monkeypatch.setattr(trust, "ROUNDS", 2)
    monkeypatch.setattr(trust, "write", lambda name, content: written.update({name: content}))
    trust.main()
    figures = written["trust"]["figures"]
    assert figures.pop("trust.query_overhead_ms") > -1000
    assert figures.pop("trust.fuzz_slowest_s") > 0
    assert figures == {
        "trust.fuzzed_answers": 30,
        "trust.fuzzed_files": 30,
        "trust.fuzz_tracebacks": 0,
        "trust.fuzz_intact": 0,
    }
    assert set(written["trust"]["details"]) == {"fuzzed_answers", "fuzzed_files", "query_overhead"}
