import json
import os
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
import sealed
import torch
from faulty import serving
from PIL import Image
from safetensors.torch import save_file

from modelseal.domain import Domain
from modelseal.endpoints.recorded import RecordedEndpoint, record

NAMES = ("ant", "bee", "cat", "dog", "elk")
FORMS = ("--json", "--junit", "--sarif", "--html")
EVERY = [part for form in FORMS for part in (form, f"verdict.{form[2:]}")]
OUT_OF_RANGE = [
    *(("--seed", "-1"), ("--seed", "x"), ("--shows", "labels"), ("--retries", "-1")),
    *(("--retries", "101"), ("--concurrency", "0"), ("--timeout", "x"), ("--cover", "-1")),
    *(("--per-check", "0"), ("--max-uses", "0")),
]
CODES = {"intact": 0, "tampered": 1, "undecided": 3}

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
        "INTACT: 3 of 3 samples answered as expected",
        "none of 3000 answers of harmless variants differed at sealing",
    ]


def test_one_other_answer_is_tampering_with_exit_code_1_and_its_evidence(seal_file, run):
    seal_file(wrong=[1], names=NAMES)
    result = run("verify", "out.seal", "answers.jsonl")
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.startswith("TAMPERED: 1 of ")
    assert "│ 1      │ differs │ dog      │ elk   │" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["missing.seal", "answers.jsonl"], "missing.seal: "),
        (["answers.jsonl", "answers.jsonl"], "answers.jsonl: "),
        (["out.seal", "missing.jsonl"], "missing.jsonl: "),
        (["out.seal", "somewhere"], "somewhere"),
        (["out.seal", "http://host/m"], ""),
        (["out.seal", "answers.jsonl", "--json", "no/x"], "no/x: "),
        (["out.seal", "answers.jsonl", "--json", "out.seal"], "out.seal: "),
        (["out.seal", "answers.jsonl", "--json", "answers.jsonl"], "answers.jsonl: "),
        (["out.seal", "answers.jsonl", "--timeout", 0], "timeout: "),
        (["out.seal", "answers.jsonl", "--timeout", "nan"], "timeout: "),
        (["out.seal", "answers.jsonl", "--time-limit", 0], "time_limit: "),
        (["out.seal", "answers.jsonl", "--pace", -1], "pace: "),
        (["out.seal", "answers.jsonl", "--record", "a", "--resume", "b"], ""),
        (["out.seal", "answers.jsonl", "--record", "old"], "old: "),
        (["out.seal", "answers.jsonl", "--record", "none/r"], "none/r: "),
        (["out.seal", "answers.jsonl", "--record", "out.seal"], "out.seal: "),
        (["out.seal", "answers.jsonl", "--resume", "out.seal"], "out.seal: "),
        (["out.seal", "answers.jsonl", "--resume", "none"], "none: "),
        (["out.seal", "answers.jsonl", "--resume", "old"], "old: "),
        (["out.seal", "answers.jsonl", "--per-check", "4"], "per_check: "),
        (["out.seal", "answers.jsonl", "--alpha", "0.1"], "alpha: "),
        (["out.seal", "answers.jsonl", "--queries", "3"], "queries: "),
        (["out.seal", "answers.jsonl", "--look", "3"], "look: "),
        (["out.seal", "answers.jsonl", "--neighbours"], "neighbours: "),
        (["out.seal", "answers.jsonl", "--cover", "2"], "--cover"),
        (["out.seal", "answers.jsonl", "--naturals", "old"], "--cover"),
        (["out.seal", "answers.jsonl", "--cover", "2", "--naturals", "no"], "no: "),
        (["out.seal", "answers.jsonl", "--cover", "2", "--naturals", "old"], "old: "),
        *(([], ""), (["out.seal"], ""), (["out.seal", "answers.jsonl", "--unknown"], "")),
        *((["out.seal", "answers.jsonl", *pair], pair[0]) for pair in OUT_OF_RANGE),
        *((["out.seal", "answers.jsonl", form, "no/x"], "no/x: ") for form in FORMS),
        *((["out.seal", "answers.jsonl", form, "answers.jsonl"], "answers") for form in FORMS),
        *((["out.seal", "answers.jsonl", "--record", "r", form, "r"], "r ") for form in FORMS),
        *(
            (["out.seal", "answers.jsonl", "--resume", "old", form, "old"], "old ")
            for form in FORMS
        ),
        *((["out.seal", "answers.jsonl", form, "-"], form) for form in FORMS[1:]),
        (["out.seal", "answers.jsonl", "--junit", "one", "--html", "./one"], "one"),
        (["out.seal", "answers.jsonl", "--junit", "old", "--html", "link"], "link"),
    ],
    ids=str,
)
def test_wrong_use_or_a_bad_file_is_one_sentence_and_nothing_is_asked_or_written(
    seal_file, folder, run, arguments, told, monkeypatch
):
    seal_file()
    (folder / "old").write_text("old")
    (folder / "link").symlink_to("old")
    monkeypatch.setattr(RecordedEndpoint, "ask", None)
    before = {file: file.read_bytes() for file in folder.iterdir()}
    result = run("verify", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("modelseal: ")
    assert told in result.stderr
    assert result.stderr.count("\n") == 1
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


def test_asking_ends_at_the_first_proof_unless_all_is_asked_for(seal_file, run):
    seal_file(count=40, wrong=range(40))
    first = run("verify", "out.seal", "answers.jsonl")
    every = run("verify", "out.seal", "answers.jsonl", "--all")
    assert "1 of 40 samples asked: 0 agree, 1 differ" in first.stdout
    assert "40 of 40 samples asked: 0 agree, 40 differ" in every.stdout
    assert (first.exit_code, every.exit_code) == (1, 1)


def order(run, *arguments):
    result = run("verify", "out.seal", "answers.jsonl", "--json", "-", *arguments)
    return [entry["sample"] for entry in json.loads(result.stdout)["evidence"]]


def test_the_order_of_asking_follows_the_seed(seal_file, run):
    seal_file(count=50)
    assert order(run, "--seed", 3) == list(np.random.default_rng(3).permutation(50))


@pytest.mark.parametrize(("wrong", "outcome"), [([], "intact"), ([1], "tampered")])
def test_every_form_says_the_same_beside_the_text(seal_file, folder, run, wrong, outcome):
    seal_file(wrong=wrong)
    result = run("verify", "out.seal", "answers.jsonl", *EVERY)
    assert result.exit_code == CODES[outcome]
    assert result.stdout.startswith(outcome.upper())
    assert check_forms(folder, outcome)["endpoint"] == "answers.jsonl"


def check_forms(folder, outcome):
    document = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    assert document["schema"] == "modelseal.verdict/1"
    assert document["outcome"] == outcome
    suites = ElementTree.parse(folder / "verdict.junit").getroot()  # noqa: S314 (our own)
    properties = {each.get("name"): each.get("value") for each in suites.iter("property")}
    assert properties["outcome"] == outcome
    assert properties["time"] == document["time"]
    (call,) = json.loads((folder / "verdict.sarif").read_text())["runs"][0]["invocations"]
    assert (call["exitCode"], call["endTimeUtc"]) == (CODES[outcome], document["time"])
    assert f"<h1>{outcome.upper()}</h1>" in (folder / "verdict.html").read_text(encoding="utf-8")
    return document


def test_a_server_that_cannot_be_reached_is_undecided_in_every_form_without_its_password(
    seal_file, folder, run
):
    seal_file(count=8)
    address = "http://me:hunter2@127.0.0.1:9/v2/models/m"
    result = run("verify", "out.seal", address, *EVERY, "--retries", 0)
    assert result.exit_code == 3
    assert result.stdout.startswith("UNDECIDED: 3 of 8 samples gave no clear answer")
    assert check_forms(folder, "undecided")["endpoint"] == "http://127.0.0.1:9/v2/models/m"
    assert "hunter2" not in result.output
    for form in FORMS:
        assert "hunter2" not in (folder / f"verdict.{form[2:]}").read_text(encoding="utf-8")


def test_without_jinja_a_page_is_refused_before_anything_is_asked(seal_file, run, monkeypatch):
    seal_file()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert run("verify", "out.seal", "answers.jsonl", "--junit", "j", "--sarif", "s").exit_code == 0
    monkeypatch.setattr(RecordedEndpoint, "ask", None)
    result = run("verify", "out.seal", "answers.jsonl", "--html", "h")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "modelseal[report]" in result.stderr


def test_a_record_names_what_was_asked_without_secrets_and_is_recorded_answers(folder, run):
    made = sealed.fingerprint(count=4)
    made.save(folder / "out.seal")
    with serving(made) as server:
        url = server.url.replace("//", "//me:secret@")
        assert run("verify", "out.seal", url, "--record", "r.jsonl").exit_code == 0
        heading = json.loads((folder / "r.jsonl").read_text().splitlines()[0])
        assert (heading["endpoint"], heading["samples"]) == (server.url, 4)
        assert "secret" not in (folder / "r.jsonl").read_text()
        assert (folder / "r.jsonl").stat().st_mode & 0o777 == 0o600
        assert run("verify", "out.seal", "r.jsonl").exit_code == 0
        (folder / "r.jsonl").write_bytes((folder / "r.jsonl").read_bytes()[:-9])
        result = run("verify", "out.seal", server.url, "--resume", "r.jsonl")
        assert (result.exit_code, server.posts) == (0, 5)
        assert result.stderr.count("modelseal: r.jsonl: ") == 2
        sealed.fingerprint(count=4, factor=9.0).save(folder / "out.seal")
        for arguments in ([server.url, "--resume", "r.jsonl"], ["r.jsonl"]):
            result = run("verify", "out.seal", *arguments)
            assert (result.exit_code, result.stdout) == (2, "")
            assert "r.jsonl: fingerprint: " in result.stderr


@pytest.mark.parametrize("naturals", ["naturals", "naturals.npz"])
def test_natural_images_are_asked_among_the_samples_and_not_judged(
    folder, run, monkeypatch, naturals
):
    made = sealed.fingerprint(domain=Domain(shape=(1, 8, 8)))
    made.save(folder / "out.seal")
    record(made.expected, folder / "answers.jsonl")
    (folder / "naturals").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8), dtype=np.uint8)
    for number, each in enumerate(pixels):
        Image.fromarray(each).save(folder / "naturals" / f"{number}.png")
    np.savez(folder / "naturals.npz", images=pixels)
    asked, look_up = [], RecordedEndpoint.ask

    def ask(self, codes):
        """Recorded answers know nothing of decoys, as a server would."""
        asked.append(codes.tobytes())
        known = any((codes[0] == sample).all() for sample in made.samples)
        return look_up(self, codes if known else made.samples[[0]])

    monkeypatch.setattr(RecordedEndpoint, "ask", ask)
    arguments = ("verify", "out.seal", "answers.jsonl", "--naturals", naturals, "--cover")
    result = run(*arguments, 5, "--json", "-")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout)["asked"] == 3
    assert len(asked) == len(set(asked)) == 8
    for more in ([7], [2, "--json", "naturals/0.png" if naturals == "naturals" else naturals]):
        result = run(*arguments, *more)
        assert (result.exit_code, result.stdout) == (2, "")
        assert naturals in result.stderr
    assert len(asked) == 8


def test_a_whole_verification_in_a_process_of_its_own_needs_no_torch(seal_file, start):
    seal_file(wrong=[0])
    process = start("verify", "out.seal", "answers.jsonl", "--all", program=WATCHED)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (1, "False True\n")
    assert out.startswith("TAMPERED: 1 of 3 asked samples")


# What only extras bring, and what they bring, is as if it were not installed.
BARE = """
import sys
for name in (
    "torch", "onnx", "onnxruntime", "jinja2", "matplotlib", "ray", "grpc", "google.protobuf",
    "boto3", "botocore", "cryptography", "sigstore", "transformers", "scipy", "sklearn",
):
    sys.modules[name] = None
from modelseal.cli.app import main
main()
"""


@pytest.mark.parametrize(
    "arguments", [("inspect", "out.seal"), ("verify", "out.seal", "answers.jsonl")]
)
def test_an_installation_without_extras_reads_and_verifies(seal_file, start, arguments):
    seal_file()
    out, err = (process := start(*arguments, program=BARE)).communicate(timeout=300)
    assert (process.returncode, err) == (0, "")
    assert out


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
