import json
import os
import sys

import numpy as np
import pytest
import sealed
import torch
from safetensors.torch import save_file

from modelseal.domain import Domain
from modelseal.fingerprint.codec import write
from modelseal.outputs.specs import Probabilities

NAMES = ("ant", "bee", "cat", "dog", "elk")

WATCHED = """
import sys
from modelseal.cli.app import main
try:
    main()
finally:
    print("torch" in sys.modules, "numpy" in sys.modules, file=sys.stderr)
"""


ENDING = """
from torch import nn

class Ending(nn.Linear):
    calls = 0
    def forward(self, inputs):
        Ending.calls += 1
        if Ending.calls > 2:
            raise SystemExit(0)
        return super().forward(inputs)

def early():
    raise SystemExit(0)

def late():
    return nn.Sequential(nn.Flatten(), Ending(6, 5))
"""


def record_lines(path, *lines):
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")


def test_a_model_that_answers_as_expected_is_intact_with_exit_code_0(seal_file, run):
    seal_file()
    result = run("verify", "out.seal", "answers.jsonl")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "INTACT: 3 of 3 samples answered as expected (none of 3000 answers of harmless variants "
        "differed at sealing)",
        "3 of 3 samples asked: 3 agree, 0 differ, 0 are unclear",
    ]


def test_one_other_answer_is_tampering_with_exit_code_1_and_its_evidence(seal_file, run):
    seal_file(wrong=[1], names=NAMES)
    result = run("verify", "out.seal", "answers.jsonl")
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.startswith("TAMPERED: 1 of ")
    assert "│ 1      │ differs │ dog      │ elk   │" in result.stdout


def test_a_missing_answer_is_undecided_with_exit_code_3(seal_file, folder, run):
    made = seal_file()
    label = int(made.expected.labels[0, 0])
    record_lines(folder / "answers.jsonl", {"sample": 0, "labels": [label]})
    result = run("verify", "out.seal", "answers.jsonl")
    assert (result.exit_code, result.stderr) == (3, "")
    assert result.stdout.startswith("UNDECIDED: 2 of 3 samples gave no clear answer")
    assert "none is recorded" in result.stdout


@pytest.mark.parametrize("seed", range(4))
def test_a_proof_among_recorded_answers_is_found_whatever_is_missing(seal_file, folder, run, seed):
    made = seal_file(count=12)
    label = int(made.expected.labels[7, 0] + 1) % 5
    record_lines(folder / "answers.jsonl", {"sample": 7, "labels": [label]})
    result = run("verify", "out.seal", "answers.jsonl", "--seed", seed)
    assert (result.exit_code, result.stdout.split(":")[0]) == (1, "TAMPERED")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["missing.seal", "answers.jsonl"], "missing.seal: cannot be read: No such file"),
        (["answers.jsonl", "answers.jsonl"], "answers.jsonl: a fingerprint was wanted"),
        (["out.seal", "missing.jsonl"], "missing.jsonl: cannot be read: No such file"),
        (["out.seal", "somewhere"], "expected http(s)://host/v2/models/NAME"),
        (["out.seal", "http://host/m"], "an Open Inference Protocol URL is"),
        (["out.seal", "answers.jsonl", "--json", "no/x"], "no/x: a file to write was wanted"),
        (["out.seal", "answers.jsonl", "--json", "out.seal"], "this one is read as well"),
        (["out.seal", "answers.jsonl", "--json", "answers.jsonl"], "this one is read as well"),
    ],
)
def test_wrong_use_or_a_bad_file_is_one_sentence_with_exit_code_2(
    seal_file, folder, run, arguments, problem
):
    seal_file()
    before = {file: file.read_bytes() for file in folder.iterdir()}
    result = run("verify", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("modelseal: ")
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["out.seal"],
        ["out.seal", "answers.jsonl", "--seed", "-1"],
        ["out.seal", "answers.jsonl", "--seed", "x"],
        ["out.seal", "answers.jsonl", "--shows", "labels"],
        ["out.seal", "answers.jsonl", "--unknown"],
    ],
)
def test_a_wrong_command_line_is_exit_code_2(seal_file, run, arguments):
    seal_file()
    result = run("verify", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")


def test_asking_ends_at_the_first_proof_unless_all_is_asked_for(seal_file, run):
    seal_file(count=40, wrong=range(40))
    first = run("verify", "out.seal", "answers.jsonl")
    every = run("verify", "out.seal", "answers.jsonl", "--all")
    assert "1 of 40 samples asked: 0 agree, 1 differ" in first.stdout
    assert "40 of 40 samples asked: 0 agree, 40 differ" in every.stdout
    assert (first.exit_code, every.exit_code) == (1, 1)


def test_all_shows_every_finding_of_an_intact_model(seal_file, run):
    seal_file()
    assert run("verify", "out.seal", "answers.jsonl", "--all").stdout.count("agrees") == 3


def order(run, *arguments):
    result = run("verify", "out.seal", "answers.jsonl", "--json", "-", *arguments)
    return [entry["sample"] for entry in json.loads(result.stdout)["evidence"]]


def test_the_order_of_asking_follows_the_seed(seal_file, run):
    seal_file(count=50)
    assert order(run, "--seed", 3) == list(np.random.default_rng(3).permutation(50))


def test_nobody_can_foresee_the_order_of_asking_without_a_seed(seal_file, run):
    seal_file(count=50)
    # Two of 50! orders are the same by chance once in 3e64 runs.
    assert order(run) != order(run)


def test_json_in_a_file_stands_beside_the_text(seal_file, folder, run):
    seal_file(wrong=[2])
    result = run("verify", "out.seal", "answers.jsonl", "--json", "verdict.json")
    assert (result.exit_code, result.stdout.split(":")[0]) == (1, "TAMPERED")
    document = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    assert document["schema"] == "modelseal.verdict/1"
    assert document["outcome"] == "tampered"
    assert document["endpoint"] == "answers.jsonl"
    assert {file.name for file in folder.iterdir()} == {
        "out.seal",
        "answers.jsonl",
        "verdict.json",
    }


def test_a_server_that_cannot_be_reached_is_undecided_and_its_password_is_not_told(
    seal_file, folder, run
):
    seal_file(count=8)
    address = "http://me:secret@127.0.0.1:9/v2/models/m"
    result = run("verify", "out.seal", address, "--json", "verdict.json", "--retries", 0)
    assert result.exit_code == 3
    assert result.stdout.startswith("UNDECIDED: 3 of 8 samples gave no clear answer")
    written = (folder / "verdict.json").read_text(encoding="utf-8")
    assert json.loads(written)["endpoint"] == "http://127.0.0.1:9/v2/models/m"
    assert "secret" not in result.output + written


def test_an_endpoint_that_fails_when_it_is_opened_is_undecided(seal_file, run, monkeypatch):
    # Everything that an endpoint of today can find wrong when it is opened is a bad file. One
    # that looks at its server first fails here.
    from modelseal.endpoints import recorded
    from modelseal.errors import EndpointError

    def fail(*_):
        raise EndpointError("nobody is there")

    monkeypatch.setattr(recorded, "RecordedEndpoint", fail)
    seal_file()
    result = run("verify", "out.seal", "answers.jsonl")
    assert result.exit_code == 3
    assert result.stdout.splitlines() == [
        "UNDECIDED: the endpoint cannot be asked: nobody is there",
        "0 of 3 samples asked: 0 agree, 0 differ, 0 are unclear",
    ]


def test_the_numbers_of_an_endpoint_are_what_the_user_says(folder, run, monkeypatch):
    from modelseal.endpoints.oip import rest_client

    seen = []

    class Watching(rest_client.OipEndpoint):
        def __init__(self, url, domain, *, shows, **settings):
            seen.append(shows.value)
            super().__init__(url, domain, shows=shows, **settings)

    monkeypatch.setattr(rest_client, "OipEndpoint", Watching)
    write(sealed.fingerprint(spec=Probabilities(3)), folder / "out.seal")
    for more in ([], ["--shows", "scores"], ["--shows", "probabilities"]):
        run("verify", "out.seal", "http://127.0.0.1:9/v2/models/m", "--retries", 0, *more)
    assert seen == ["probabilities", "scores", "probabilities"]


def test_a_whole_verification_in_a_process_of_its_own_needs_no_torch(seal_file, start):
    seal_file(wrong=[0])
    process = start("verify", "out.seal", "answers.jsonl", "--all", program=WATCHED)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (1, "False True\n")
    assert out.startswith("TAMPERED: 1 of 3 asked samples")


def test_the_help_needs_neither_torch_nor_numpy(start):
    process = start("verify", "--help", program=WATCHED)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "False False\n")
    assert "ENDPOINT" in out


def test_the_exit_code_holds_where_nobody_reads_the_text(seal_file, start):
    seal_file()
    reading, writing = os.pipe()
    os.close(reading)
    process = start("verify", "out.seal", "answers.jsonl", stdout=writing)
    os.close(writing)
    _, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "")


def test_the_exit_code_holds_where_a_class_name_cannot_be_written(seal_file, start):
    seal_file(wrong=[1], names=("蟻", "蜂", "猫", "犬", "鹿"))
    arguments = ("verify", "out.seal", "answers.jsonl")
    process = start(*arguments, env={"PYTHONIOENCODING": "ascii"})
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (1, "")
    assert r"differs | \u" in out
    assert out.isascii()


@pytest.mark.parametrize(("factory", "code"), [("early", 2), ("late", 3)])
def test_a_network_that_ends_the_program_is_never_intact(seal_file, folder, run, factory, code):
    seal_file()
    (folder / "ending_of_cli_tests.py").write_text(ENDING, encoding="utf-8")
    weights = {"1.weight": torch.zeros(5, 6), "1.bias": torch.zeros(5)}
    save_file(weights, folder / "w.safetensors")
    text = f'factory = "ending_of_cli_tests:{factory}"\nweights = "w.safetensors"'
    (folder / "m.toml").write_text(f"[model]\n{text}\n[input]\nshape = [2, 3]\n")
    sys.modules.pop("ending_of_cli_tests", None)
    result = run("verify", "out.seal", "m.toml")
    assert result.exit_code == code
    assert "SystemExit: 0" in result.stdout + result.stderr


def test_a_document_never_replaces_a_file_that_the_endpoint_s_model_names(model, folder, run):
    model()
    write(sealed.fingerprint(domain=Domain(shape=(1, 8, 8))), folder / "out.seal")
    before = (folder / "weights0.safetensors").read_bytes()
    result = run("verify", "out.seal", "model.toml", "--json", "weights0.safetensors")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "this one is read as well" in result.stderr
    assert (folder / "weights0.safetensors").read_bytes() == before
