import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import sealed
from hypothesis import given
from hypothesis import strategies as st
from refusals import refuses

from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.verification import ledger
from modelseal.verification.ledger import Budget, open_ledger, read_ledger

MADE = sealed.fingerprint(count=6)
OPENING = {
    "schema": "modelseal.ledger/1",
    "fingerprint": MADE.digest,
    "samples": 6,
    "per_check": 2,
}
ENTRY = {"check": "0" * 16, "time": "2026-11-23T10:00:00Z", "endpoint": "http://a", "samples": [4]}


def write_lines(path, *lines, end="\n"):
    text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(text) + end)


def test_a_new_ledger_says_what_it_is_of_is_for_its_owner_alone_and_is_begun_once(tmp_path):
    path = tmp_path / "a.ledger"
    open_ledger(path, MADE, per_check=2)
    assert json.loads(path.read_text()) == OPENING
    assert path.stat().st_mode & 0o777 == 0o600
    with refuses(BadFileError):
        open_ledger(path, MADE, per_check=3)
    assert (read_ledger(path).entries, read_ledger(path).opening.per_check) == ((), 2)


def test_the_name_of_a_new_ledger_is_on_the_disk_before_anybody_else_may_write(
    tmp_path, monkeypatch
):
    synced = []
    fsync = os.fsync

    def note(file):
        synced.append(str(Path(f"/proc/self/fd/{file}").readlink()))
        fsync(file)

    monkeypatch.setattr(os, "fsync", note)
    open_ledger(tmp_path / "a", MADE, per_check=None)
    assert synced == [str(tmp_path / "a"), str(tmp_path)]


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        (["", OPENING], 1),
        (["{}"], 1),
        ([OPENING | {"schema": "modelseal.ledger/2"}], 1),
        ([OPENING | {"per_check": 0}], 1),
        ([OPENING | {"more": 1}], 1),
        ([OPENING, "half a li", ENTRY], 2),
        ([OPENING, ENTRY, ENTRY | {"samples": []}], 3),
        ([OPENING, ENTRY | {"samples": ["4"]}], 2),
        ([OPENING, ENTRY | {"samples": [6]}], 2),
        ([OPENING, ENTRY | {"samples": [-1]}], 2),
        ([OPENING, ENTRY | {"samples": [1, 1]}], 2),
    ],
)
def test_what_is_no_ledger_is_refused_with_its_line(tmp_path, lines, line):
    write_lines(tmp_path / "a", *lines)
    with pytest.raises(BadFileError, match=f"/a: line {line}"):
        read_ledger(tmp_path / "a")


def test_a_ledger_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    open_ledger(tmp_path / "a", MADE, per_check=2)
    monkeypatch.setattr(ledger, "MAX_BYTES", 10)
    with refuses(BadFileError):
        read_ledger(tmp_path / "a")


# Spending

TWELVE = sealed.fingerprint(count=12)

SPENDER = """
import sys
from pathlib import Path
import numpy as np, sealed
from modelseal.verification.ledger import Budget
made, generator = sealed.fingerprint(count=12), np.random.default_rng()
for turn in range(int(sys.argv[2])):
    budget = Budget(ledger=Path(sys.argv[1]), per_check=3)
    budget.spend(made, endpoint=sys.argv[3], generator=generator)
    if len(sys.argv) > 4:
        print("spent", flush=True)
        input()
"""


def take(path, *, endpoint="http://a", seed=0, made=TWELVE, **limits):
    limits = limits or {"max_uses": 99}
    budget = Budget(ledger=path, **limits)
    return budget.spend(made, endpoint=endpoint, generator=np.random.default_rng(seed))


def start(path, *arguments, **settings):
    places = [str(Path(sealed.__file__).parent), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, "-c", SPENDER, path, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        **settings,
    )


@given(st.lists(st.integers(1, 11), min_size=1, max_size=10))
def test_however_many_are_taken_no_sample_is_spent_twice_before_all_were_spent_once(counts):
    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            take(Path(folder) / "a", per_check=count)
            uses = read_ledger(Path(folder) / "a").uses
            assert uses.max() - uses.min() <= 1


def test_a_check_takes_fresh_samples_by_chance_as_the_ledger_says_and_enters_them(tmp_path):
    taken = {tuple(take(tmp_path / str(seed), per_check=3, seed=seed).samples) for seed in range(9)}
    assert len(taken) > 5
    open_ledger(tmp_path / "a", TWELVE, per_check=5)
    spent = take(tmp_path / "a")
    assert len(spent.samples) == 5
    line = json.loads((tmp_path / "a").read_text().splitlines()[1])
    assert (line["samples"], line["endpoint"]) == (list(spent.samples), "http://a")
    assert (line["time"][-1], len(line["check"])) == ("Z", 16)
    assert len(take(tmp_path / "a", per_check=2).samples) == 2


def test_what_is_left_is_told_in_checks_of_fresh_samples(tmp_path):
    assert [take(tmp_path / "a", per_check=5).checks_left for _ in range(3)] == [1, 0, 0]
    left = [take(tmp_path / "b", per_check=6, max_uses=2).checks_left for _ in range(4)]
    assert left == [3, 2, 1, 0]


def test_too_few_samples_and_another_fingerprint_are_refused_and_nothing_is_entered(tmp_path):
    for _ in range(2):
        take(tmp_path / "a", per_check=5, max_uses=1)
    before = (tmp_path / "a").read_bytes()
    for more in ({"max_uses": 1}, {"made": sealed.fingerprint(count=11)}):
        with refuses(BadFileError):
            take(tmp_path / "a", per_check=5, **more)
    assert (tmp_path / "a").read_bytes() == before


@pytest.mark.parametrize("torn", [0, 1, 30, -1])
def test_an_unfinished_line_is_cut_off_before_the_next_one_is_written(tmp_path, torn):
    take(tmp_path / "a", per_check=3)
    whole = (tmp_path / "a").read_bytes()
    take(tmp_path / "a", per_check=3)
    line = (tmp_path / "a").read_bytes()[len(whole) :]
    (tmp_path / "a").write_bytes(whole + line[:torn])
    take(tmp_path / "a", per_check=3)
    assert read_ledger(tmp_path / "a").uses.sum() == 6


def test_looks_are_counted_for_each_endpoint(tmp_path):
    checks = [take(tmp_path / "a", endpoint=f"http://{name}", per_check=2) for name in "abaab"]
    assert [each.look for each in checks] == [1, 1, 2, 3, 2]


def test_two_processes_at_once_neither_lose_an_entry_nor_spend_a_sample_too_often(tmp_path):
    processes = [start(tmp_path / "a", 20, f"http://{name}") for name in range(4)]
    assert [process.wait(timeout=300) for process in processes] == [0] * 4
    found = read_ledger(tmp_path / "a")
    assert len(found.entries) == 80
    assert len({entry.check for entry in found.entries}) == 80
    for name in range(4):
        assert take(tmp_path / "a", endpoint=f"http://{name}").look == 21
    assert list(found.uses) == [20] * 12


def test_a_process_that_dies_in_mid_check_has_spent_its_samples(tmp_path):
    process = start(
        tmp_path / "a", 1, "http://a", "wait", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"spent\n"
    process.kill()
    process.wait(timeout=300)
    process.stdin.close()
    process.stdout.close()
    assert read_ledger(tmp_path / "a").uses.sum() == 3


@given(st.binary(max_size=80), st.integers(0, 400))
def test_any_damage_to_a_ledger_is_refused_or_costs_no_whole_entry(inserted, place):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        for _ in range(2):
            take(path, per_check=3)
        whole = path.read_bytes()
        path.write_bytes(whole[:place] + inserted + whole[place:])
        try:
            take(path, per_check=3)
        except BadFileError:
            return
        assert read_ledger(path).uses.sum() >= 9


@pytest.mark.parametrize("limit", [{"per_check": 2}, {"max_uses": 1}])
def test_a_limit_needs_a_ledger(limit):
    with refuses(InvalidArgumentError, field=next(iter(limit))):
        Budget(**limit)
