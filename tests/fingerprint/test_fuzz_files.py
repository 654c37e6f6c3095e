"""Fingerprint files that were damaged or forged: refused in one sentence, or read as they are."""

import numpy as np
import pytest
from typer.testing import CliRunner

from fuzzed_files import forge, forge_header, forge_tensor, fuzz_files, golden, split
from fuzzing import mutate
from modelseal.cli.app import app


def test_no_fuzzed_file_ends_badly():
    tally = fuzz_files(240, seed=1)
    assert (tally.tracebacks, tally.unfounded, tally.examples) == (0, 0, [])
    assert tally.cases == 240
    assert tally.slowest < 5


def test_changed_bytes_are_never_read_as_a_fingerprint():
    outcomes = fuzz_files(120, seed=2).outcomes
    assert [name for name in outcomes if name.startswith("changed bytes")] == [
        "changed bytes: refused"
    ]
    assert outcomes["forged headers: intact"] > 2
    assert outcomes["forged tensors: intact"] > 2


@pytest.mark.parametrize("number", range(len(golden())))
def test_a_file_that_is_taken_apart_and_put_together_is_the_same(number):
    data = golden()[number]
    assert forge(*split(data)) == data


@pytest.mark.parametrize("change", [mutate, forge_header, forge_tensor])
def test_the_program_ends_in_order_whatever_the_file(change, tmp_path):
    (tmp_path / "answers.jsonl").write_text('{"sample": 0, "labels": [0, 1]}')
    for number in range(20):
        chance = np.random.default_rng((3, number))
        (tmp_path / "out.seal").write_bytes(change(golden()[number % 2], chance))
        for verb in (["verify", tmp_path / "out.seal", tmp_path / "answers.jsonl"], ["inspect"]):
            arguments = verb if len(verb) > 1 else [*verb, tmp_path / "out.seal"]
            result = CliRunner().invoke(app, [str(each) for each in arguments])
            assert result.exit_code in {0, 2, 3}, result.output
            assert result.exit_code != 0 or verb == ["inspect"]
            assert "Traceback" not in result.output
            assert result.exit_code != 2 or result.stderr.count("\n") == 1
