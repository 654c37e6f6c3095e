import json

import pytest
import sealed

from modelseal.verification.ledger import read_ledger


def check(run, *arguments):
    """The samples that a check asks, and what is said beside."""
    result = run("verify", "out.seal", "answers.jsonl", "--all", "--json", "-", *arguments)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    return document, [entry["sample"] for entry in document["evidence"]], result.stderr


def test_without_a_ledger_all_samples_are_asked_and_none_is_begun(seal_file, folder, run):
    seal_file()
    for arguments in ([], ["--per-check", "3"]):
        document, asked, _ = check(run, *arguments)
        assert sorted(asked) == [0, 1, 2]
        assert document["chosen"] == 3
    assert not (folder / "out.seal.ledger").exists()


def test_a_part_of_the_samples_is_asked_under_their_own_numbers(seal_file, folder, run):
    seal_file(count=12, power=sealed.LIMITS)
    seen = []
    for _ in range(3):
        document, asked, _ = check(run, "--per-check", 4)
        assert (document["samples"], document["chosen"], document["asked"]) == (12, 4, 4)
        assert document["rules_out"] == []
        assert document["reason"].startswith("4 of 12 samples answered as expected")
        seen += asked
    assert sorted(seen) == list(range(12))
    assert sorted(read_ledger(folder / "out.seal.ledger").entries[0].samples) == sorted(seen[:4])


def test_the_samples_are_on_the_disk_before_the_first_is_asked(seal_file, folder, run, monkeypatch):
    from modelseal.endpoints.recorded import RecordedEndpoint

    seal_file(count=12)
    entered = []
    ask = RecordedEndpoint.ask

    def watch(self, codes):
        entered.append(len(read_ledger(folder / "out.seal.ledger").entries))
        return ask(self, codes)

    monkeypatch.setattr(RecordedEndpoint, "ask", watch)
    check(run, "--per-check", 4)
    assert entered == [1, 1, 1, 1]


def test_the_stock_that_runs_low_is_told(seal_file, run):
    seal_file(count=12)
    said = [check(run, "--per-check", 4)[2] for _ in range(4)]
    assert said[0] == ""
    for number, text in zip((1, 0, 0), said[1:], strict=True):
        assert f"asked less than 1 time are enough for {number} more" in text


def test_nothing_is_asked_when_too_few_samples_are_left(seal_file, folder, run):
    seal_file(count=12)
    for _ in range(2):
        check(run, "--per-check", 5, "--max-uses", 1)
    before = (folder / "out.seal.ledger").read_bytes()
    arguments = ("--per-check", 5, "--max-uses", 1, "--record", "record.jsonl")
    result = run("verify", "out.seal", "answers.jsonl", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "out.seal.ledger: " in result.stderr
    assert (folder / "out.seal.ledger").read_bytes() == before
    assert not (folder / "record.jsonl").exists()


def test_the_ledger_of_a_fingerprint_that_was_replaced_is_refused(seal_file, folder, run):
    seal_file(count=12)
    check(run, "--per-check", 4)
    sealed.fingerprint(count=12, factor=11.0).save(folder / "out.seal")
    result = run("verify", "out.seal", "answers.jsonl")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "out.seal.ledger: fingerprint: " in result.stderr


@pytest.mark.parametrize("option", [["--per-check", 4], ["--max-uses", 1]])
def test_a_check_that_goes_on_without_a_ledger_begins_none(seal_file, folder, run, option):
    seal_file(count=12)
    check(run, "--record", "record.jsonl")
    before = (folder / "record.jsonl").read_bytes()
    result = run("verify", "out.seal", "answers.jsonl", "--resume", "record.jsonl", *option)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "out.seal.ledger: " in result.stderr
    assert not (folder / "out.seal.ledger").exists()
    assert (folder / "record.jsonl").read_bytes() == before


def test_a_check_goes_on_with_its_own_samples_though_a_later_one_took_the_same(
    seal_file, folder, run
):
    seal_file(count=4)
    check(run, "--per-check", 2, "--record", "record.jsonl")
    lines = (folder / "record.jsonl").read_text().splitlines(keepends=True)
    (folder / "record.jsonl").write_text("".join(lines[:2]))
    check(run, "--per-check", 4)
    document, asked, _ = check(run, "--resume", "record.jsonl")
    entries = read_ledger(folder / "out.seal.ledger").entries
    assert (len(entries), document["chosen"]) == (2, 2)
    assert sorted(asked) == sorted(entries[0].samples)
    assert json.loads(lines[0])["check"] == entries[0].check
