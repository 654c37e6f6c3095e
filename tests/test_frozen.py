"""What the program does stays what it was, whatever becomes of the code behind it.

These tests know files, command lines and the entry point that `pyproject.toml` names, and nothing
else of the inside but the two functions of `write_again`. They hold outcomes, numbers, names and
exit codes, and no sentence. What they hold lies in `golden/frozen`; where a change is meant, run
them with `MODELSEAL_FREEZE=1` in the environment, which writes these files anew, and read the
difference.
"""

import importlib
import json
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import typer
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden"
FROZEN = GOLDEN / "frozen"
SEALS = sorted(GOLDEN.glob("*.seal"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ENTRY = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"][
    "modelseal"
]

PROGRAM = """
import importlib, io, json, sys
from contextlib import redirect_stderr, redirect_stdout

def new():
    return io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)

module, name = sys.argv[1].split(":")
results = sys.argv[2]
main = getattr(importlib.import_module(module), name)
ended = []
for arguments in json.load(sys.stdin):
    sys.argv = ["modelseal", *arguments]
    out, err, code = new(), new(), 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    ended.append([code, out.buffer.getvalue().decode(), err.buffer.getvalue().decode()])
with open(results, "w") as file:
    json.dump(ended, file)
"""

NETWORKS = """
from torch import nn

def small():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 6),
    )
"""

MODEL = """
[model]
factory = "networks_of_frozen_tests:small"
weights = "{weights}.safetensors"
[input]
shape = [3, 8, 8]
"""

PLAN = """
[[networks]]
name = "small"
model = "model.toml"
train = "train.npz"
test = "test.npz"
[samples]
candidates = 16
bags = 4
bag = 8
count = 3
tie = 4
[tampering]
images = 24
[harmless]
variants = ["nnpack", "float64", "channels-last"]
[[grids]]
methods = ["boundary", "natural"]
tamperings = ["quantisation", "ftll", "noise"]
seeds = 2
"""

MADE = {
    "boundary": "--method boundary --tie 4 --candidates 8",
    "natural": "--method natural --candidates 4",
    "misclassified": "--method misclassified --candidates 4",
    "noise": "--method noise --candidates 4",
    "legacy": "--method legacy --candidates 4",
    "ascent": "--method ascent --candidates 4",
    "ascent-all": "--method ascent-all --candidates 4",
    "ibsf": "--method ibsf --candidates 4",
    "ibsf-tuned": "--method ibsf-tuned --candidates 4",
    "two-class": "--method two-class --candidates 4",
    "boundary-topprobs": "--tie 3 --spec topprobs:2:3 --candidates 4 --seed 5",
    "boundary-scores": "--tie 3 --spec scores:1e-3 --candidates 4 --factor 2",
    "natural-probs": "--method natural --spec probs:4 --candidates 4",
}
"""What candidates are made of the small network, by name."""

SEALING = [
    f"select model.toml boundary.made -o {rule}.chosen --samples 3 --seed 1 --rule {rule}"
    for rule in ("manc", "random", "margin", "detection")
] + [
    "select model.toml boundary.made -o layers.chosen --samples 3 --rule manc --layers relu_0",
    "seal model.toml images.npz -o out.seal --tie 4 --candidates 8 --samples 4 --neighbours 2",
    "inspect out.seal --json inspection.json --images pictures",
    "verify out.seal model.toml --seed 0 --json intact.json --all",
    "verify out.seal changed.toml --seed 0 --json tampered.json --all",
    "verify out.seal model.toml --seed 0 --neighbours --json neighbours.json",
    "enroll out.seal model.toml -o enrolled.seal --seed 0 --repeats 20 --most-unstable 0.5",
    "inspect enrolled.seal --json enrolment.json",
    "verify enrolled.seal model.toml --seed 0 --json enrolled-intact.json",
    "verify enrolled.seal changed.toml --seed 0 --json enrolled-tampered.json",
]

ANSWERS = {
    "intact": ([2, 1], [3, 2], [4, 3], [0, 4]),
    "tampered": ([2, 1], [1, 2], [4, 3], [0, 4]),
    "undecided": ([2, 1], [3, 2], None, [0, 4]),
    "silent": (None, None, None, None),
    "both": ([2, 1], [1, 2], None, [0, 4]),
}
"""Labels of recorded answers to the four samples of a golden file; None where there is none."""

SHARES = ([0.334, 0.313], [0.37, 0.265], [0.468, 0.265], [0.409, 0.248])
"""The probabilities of the labels."""

VOLATILE = {"time", "modelseal", "created", "endTimeUtc", "timestamp", "packages", "skipped"}
"""Keys of what differs from run to run, from version to version or from machine to machine."""

PROSE = {"reason", "text", "message"}
"""Keys of sentences for people."""


def frozen(name, found):
    """Compares with what a file holds; texts and whole numbers are equal, others close."""
    path = FROZEN / f"{name}.json"
    if os.environ.get("MODELSEAL_FREEZE"):
        FROZEN.mkdir(exist_ok=True)
        path.write_text(f"{lay_out(found)}\n", encoding="utf-8")
    differences = list(compare(read(path), json.loads(json.dumps(found)), name))
    assert not differences, "\n".join(differences[:20])


def lay_out(value, depth=3):
    """JSON with a line for each part down to some depth, so that differences can be read."""
    if not depth or not value or not isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True)
    margin = " " * (4 - depth)
    if isinstance(value, dict):
        parts = [f"{json.dumps(key)}: {lay_out(value[key], depth - 1)}" for key in sorted(value)]
    else:
        parts = [lay_out(each, depth - 1) for each in value]
    ends = "{}" if isinstance(value, dict) else "[]"
    inside = ",".join(f"\n{margin}{part}" for part in parts)
    return f"{ends[0]}{inside}\n{margin[1:]}{ends[1]}"


def compare(old, new, place):
    """Every difference, as a sentence; an object may gain keys."""
    pairs = []
    if isinstance(old, dict) and isinstance(new, dict):
        yield from (f"{place}.{key} is gone" for key in old if key not in new)
        pairs = [(key, old[key], new[key]) for key in old if key in new]
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = list(zip(range(len(old)), old, new, strict=True))
    elif not alike(old, new):
        yield f"{place} was {old!r}, but is {new!r}"
    for key, one, other in pairs:
        yield from compare(one, other, f"{place}.{key}")


def alike(old, new):
    """Whether texts and whole numbers are equal, and others close."""
    if isinstance(old, float) and isinstance(new, float):
        return math.isclose(old, new, rel_tol=1e-4, abs_tol=3e-7)
    return type(old) is type(new) and old == new


def plain(value):
    """A document without what may differ; of a sentence only whether there is one."""
    if isinstance(value, dict):
        return {
            key: bool(each) if key in PROSE and isinstance(each, str) else plain(each)
            for key, each in value.items()
            if key not in VOLATILE
        }
    return [plain(each) for each in value] if isinstance(value, list) else value


def outline(value):
    """The keys of a document and the kinds of their values; of a list the first."""
    if isinstance(value, dict):
        return {key: outline(each) for key, each in value.items()}
    return (
        [outline(each) for each in value[:1]] if isinstance(value, list) else type(value).__name__
    )


def read(path):
    return json.loads(path.read_text("utf-8"))


def run(folder, lines):
    """Runs command lines one after another in one process; gives code, output and errors."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MODELSEAL_")}
    results = folder / "results-of-commands"
    subprocess.run(
        [sys.executable, "-c", PROGRAM, ENTRY, results.name],
        cwd=folder,
        env={**kept, "OMP_NUM_THREADS": "1", "COLUMNS": "100"},
        input=json.dumps([shlex.split(line) for line in lines]),
        text=True,
        check=True,
        capture_output=True,
    )
    ended = read(results)
    results.unlink()
    return ended


def write_model(folder):
    """Writes a small network, the same with a changed last layer, and images for them."""
    draw = np.random.default_rng(1)
    weights = {
        "0.weight": draw.normal(0, 0.3, (8, 3, 3, 3)),
        "0.bias": draw.normal(0, 0.1, 8),
        "1.weight": draw.uniform(0.5, 1.5, 8),
        "1.bias": draw.normal(0, 0.1, 8),
        "1.running_mean": draw.normal(0, 0.1, 8),
        "1.running_var": draw.uniform(0.5, 1.5, 8),
        "4.weight": draw.normal(0, 0.05, (6, 512)),
        "4.bias": draw.normal(0, 0.1, 6),
    }
    tensors = {name: value.astype(np.float32) for name, value in weights.items()}
    tensors["1.num_batches_tracked"] = np.array(1)
    save_file(tensors, folder / "model.safetensors")
    noise = draw.normal(0, 1e-3, (6, 512)).astype(np.float32)
    save_file({**tensors, "4.weight": tensors["4.weight"] + noise}, folder / "changed.safetensors")
    (folder / "networks_of_frozen_tests.py").write_text(NETWORKS, "utf-8")
    for name in ("model", "changed"):
        (folder / f"{name}.toml").write_text(MODEL.format(weights=name), "utf-8")
    np.savez(folder / "images.npz", images=draw.integers(0, 256, (16, 8, 8, 3), dtype=np.uint8))
    for name, count in (("train", 48), ("test", 24)):
        images = draw.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
        np.savez(folder / f"{name}.npz", images=images, labels=np.arange(count) % 6)
    (folder / "plan.toml").write_text(PLAN, "utf-8")


def write_answers(folder):
    """Writes recorded answers to the samples of the golden files."""
    for name, answers in ANSWERS.items():
        lines = [
            {"sample": number, "labels": labels, "probabilities": shares}
            for number, (labels, shares) in enumerate(zip(answers, SHARES, strict=True))
            if labels
        ]
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, "utf-8")


def write_again(data):
    """A fingerprint's bytes after they were read: all that these tests know of the inside."""
    from modelseal.fingerprint.file_format import decode, encode

    return encode(decode(data, name="golden"))


# Golden files.


@pytest.mark.parametrize("path", SEALS, ids=lambda path: path.stem)
def test_a_golden_file_is_written_again_with_the_same_bytes(path):
    assert write_again(path.read_bytes()) == path.read_bytes()


def test_golden_files_are_inspected_with_the_same_facts(tmp_path):
    for path in [*SEALS, GOLDEN / "encrypted-1.0.locked"]:
        shutil.copy(path, tmp_path)
    (tmp_path / "words").write_text("correct horse battery staple\n")
    locked = "encrypted-1.0.locked --passphrase-file words"
    told = run(
        tmp_path,
        [
            *(f"inspect {path.name} --json -" for path in SEALS),
            f"inspect {locked} --json -",
            f"decrypt {locked} -o open.seal",
            "inspect open.seal --json -",
        ],
    )
    assert [code for code, _, _ in told] == [0] * len(told)
    files = [path.name for path in SEALS] + ["locked", "", "open"]
    facts = [json.loads(out) if name else {} for (_, out, _), name in zip(told, files, strict=True)]
    for each in facts:
        # These come from the file, not from the machine.
        each["of the file"] = each.get("origin", {}).pop("packages", None)
    frozen("inspections", plain(dict(zip(files, facts, strict=True))))
    data = (tmp_path / "open.seal").read_bytes()
    assert write_again(data) == data


# What is made of seeds.


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with candidates of every method, and with what was sealed, enrolled and verified."""
    folder = tmp_path_factory.mktemp("made")
    write_model(folder)
    lines = [f"generate model.toml images.npz -o {key}.made {rest}" for key, rest in MADE.items()]
    told = run(folder, lines + SEALING)
    return folder, dict(zip([*MADE, *SEALING], told, strict=True))


def describe(path):
    """What a fingerprint holds that a seed settles."""
    tensors = load_file(path)
    with safe_open(path, "numpy") as file:
        header = json.loads(file.metadata()["modelseal"])
    origin = header["origin"]
    skipped = origin["parameters"].get("skipped", "")
    return {
        "samples": tensors.pop("samples").tobytes().hex(),
        # How far a variant moves scores is a matter of roundings, and checked apart.
        "tensors": {key: value.tolist() for key, value in tensors.items() if key != "moves"},
        "header": plain({key: value for key, value in header.items() if key != "digest"})
        | {"origin": plain({**origin, "variants": [], "harmless_answers": 0})},
        "variants": sorted([*origin["variants"], *filter(None, skipped.split(", "))]),
    }


def check_made(name, path):
    """Compares a fingerprint; of its samples at most one value in a thousand may differ."""
    found = describe(path)
    tensors = load_file(path)
    found["tensors"]["psnr"] = [
        None if math.isinf(value) else value for value in found["tensors"]["psnr"]
    ]
    place = FROZEN / f"{name}.json"
    if place.is_file() and not os.environ.get("MODELSEAL_FREEZE"):
        old = read(place)
        one, other = (bytes.fromhex(each["samples"]) for each in (old, found))
        assert len(one) == len(other)
        same = np.frombuffer(one, np.uint8) == np.frombuffer(other, np.uint8)
        assert same.mean() >= 0.999, f"{name}: only {same.mean():.1%} of the values are the same"
        found["samples"] = old["samples"]
        assert set(old["variants"]) <= set(found["variants"])
        found["variants"] = old["variants"]
    frozen(name, found)
    with safe_open(path, "numpy") as file:
        factor = json.loads(file.metadata()["modelseal"])["factor"]
    assert (tensors["moves"] >= 0).all()
    assert (tensors["margins"] >= factor * tensors["moves"]).all()


@pytest.mark.parametrize("name", MADE)
def test_candidates_of_a_seed_are_the_same(made, name):
    folder, told = made
    assert told[name][0] == 0, told[name]
    path = folder / f"{name}.made"
    assert write_again(path.read_bytes()) == path.read_bytes()
    check_made(f"candidates-{name}", path)


def test_the_chosen_samples_are_the_same(made):
    folder, told = made
    assert [told[line][0] for line in SEALING if line.startswith("select")] == [0] * 5
    chosen = {
        path.stem: load_file(path)["sources"].tolist() for path in sorted(folder.glob("*.chosen"))
    }
    frozen("chosen", chosen)


def test_a_sealed_fingerprint_is_the_same(made):
    folder, told = made
    assert [told[line][0] for line in SEALING if line.startswith("seal")] == [0], told
    check_made("sealed", folder / "out.seal")
    facts = plain(read(folder / "inspection.json"))
    facts["origin"].update(variants=[], harmless_answers=0)
    facts.pop("false_alarm_bound")
    facts.pop("moves")
    frozen("sealed-inspection", facts)
    samples = load_file(folder / "out.seal")["samples"]
    pictures = [np.asarray(Image.open(each)) for each in sorted((folder / "pictures").iterdir())]
    np.testing.assert_array_equal(np.stack(pictures).transpose(0, 3, 1, 2), samples)


def test_verdicts_on_networks_are_the_same(made):
    folder, told = made
    verbs = ("verify", "enroll", "inspect")
    codes = {line: told[line][0] for line in SEALING if line.startswith(verbs)}
    names = ("intact", "tampered", "neighbours", "enrolled-intact", "enrolled-tampered")
    verdicts = {name: plain(read(folder / f"{name}.json")) for name in names}
    for verdict in verdicts.values():
        # How many variants a machine can run.
        verdict.pop("false_alarm_bound")
    enrolment = plain(read(folder / "enrolment.json"))["enrolment"]
    frozen("network-verdicts", {"codes": codes, "verdicts": verdicts, "enrolment": enrolment})


# Verdicts as files.


def outline_junit(element):
    """An element with all that is no sentence."""
    kept = {
        key: bool(value) if key in PROSE else value
        for key, value in element.attrib.items()
        if key not in VOLATILE
    }
    if kept.get("name") in PROSE | VOLATILE:
        kept.pop("value", None)
    return [element.tag, kept, [outline_junit(each) for each in element]]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """A folder with verdicts in three forms, and the exit codes."""
    folder = tmp_path_factory.mktemp("verdicts")
    write_answers(folder)
    lines = []
    for number in (0, 1):
        shutil.copy(GOLDEN / f"format-1.{number}.seal", folder)
        for name in ANSWERS:
            for more in ("", "--all"):
                forms = ["json"] if number == 0 else ["json", "junit", "sarif"]
                files = " ".join(f"--{form} {number}{name}{more}.{form}" for form in forms)
                lines.append(f"verify format-1.{number}.seal {name}.jsonl --seed 3 {more} {files}")
    told = run(folder, lines)
    return folder, {line: code for line, (code, _, _) in zip(lines, told, strict=True)}


@pytest.mark.parametrize("form", ["json", "junit", "sarif"])
def test_verdicts_of_recorded_answers_are_the_same(verdicts, form):
    folder, codes = verdicts
    found = {}
    for path in sorted(folder.glob(f"*.{form}")):
        if form == "junit":
            found[path.name] = outline_junit(ElementTree.parse(path).getroot())  # noqa: S314 (our own)
            continue
        found[path.name] = plain(read(path))
        if form == "sarif":
            found[path.name]["runs"][0]["tool"]["driver"].pop("version")
    frozen(f"verdicts-{form}", {**found, "codes": codes})


# Exit codes.

LINES = """
--version
--help
-h

nonsense
--nonsense
verify
verify plain.seal
verify plain.seal intact.jsonl
verify plain.seal tampered.jsonl
verify plain.seal undecided.jsonl
verify plain.seal both.jsonl
verify plain.seal intact.jsonl --nonsense
verify plain.seal intact.jsonl --seed -1
verify plain.seal intact.jsonl --seed one
verify plain.seal intact.jsonl --shows labels
verify plain.seal intact.jsonl --alpha 0.1
verify plain.seal intact.jsonl --neighbours
verify plain.seal intact.jsonl --html -
verify plain.seal intact.jsonl --json plain.seal
verify plain.seal intact.jsonl --json no/folder.json
verify plain.seal intact.jsonl --html verdict.html
verify plain.seal missing.jsonl
verify plain.seal malformed.jsonl
verify plain.seal what-is-this
verify plain.seal ftp://host/model
verify plain.seal http://127.0.0.1:9/v2/models/m --retries 0
verify plain.seal grpc://127.0.0.1:9/m --retries 0 --timeout 2
verify missing.seal intact.jsonl
verify damaged.seal intact.jsonl
verify short.seal intact.jsonl
verify enrolled.seal intact.jsonl
verify locked.seal intact.jsonl
verify locked.seal intact.jsonl --passphrase-file words
verify locked.seal top1.jsonl --passphrase-file words
verify locked.seal intact.jsonl --passphrase-file wrong-words
verify locked.seal intact.jsonl --passphrase-file missing-words
verify plain.seal intact.jsonl --record record.jsonl --seed 0
verify plain.seal intact.jsonl --resume record.jsonl
verify plain.seal tampered.jsonl --record tampered-record.jsonl --seed 0
verify powered.seal intact.jsonl --per-check 2 --seed 0
verify powered.seal intact.jsonl --seed 0
verify powered.seal intact.jsonl --max-uses 1
inspect
inspect plain.seal
inspect powered.seal --json -
inspect enrolled.seal --json facts.json
inspect missing.seal
inspect damaged.seal
inspect locked.seal
inspect locked.seal --passphrase-file words
keygen -o reader
keygen -o reader
keygen -o owner --for signing
keygen -o other --for nothing
encrypt plain.seal -o again.seal
encrypt plain.seal -o again.seal --encrypt-to reader.pub.pem
encrypt plain.seal -o more.seal --passphrase-file words
encrypt again.seal -o third.seal --encrypt-to reader.pub.pem
inspect again.seal
inspect again.seal --key reader.pem
inspect again.seal --key owner.pem
decrypt again.seal -o open.seal --key reader.pem
decrypt plain.seal -o open.seal --key reader.pem
verify plain.seal intact.jsonl --require-signature owner.pub.pem
sign plain.seal
sign plain.seal --key reader.pem
sign plain.seal --key owner.pem --model-files intact.jsonl
verify plain.seal intact.jsonl --require-signature owner.pub.pem
verify plain.seal tampered.jsonl --require-signature owner.pub.pem
commit plain.seal -o commitment.json
commit plain.seal -o plain.seal
reveal plain.seal record.jsonl -o bundle.json
reveal plain.seal tampered-record.jsonl -o tampered-bundle.json --endpoint it
reveal plain.seal missing.jsonl -o no-bundle.json
recheck bundle.json
recheck bundle.json --commitment commitment.json --json recheck.json
recheck tampered-bundle.json --commitment commitment.json
recheck bundle.json --commitment bundle.json
recheck missing.json
generate missing.toml images.npz -o new.seal
generate model.toml missing.npz -o new.seal
generate model.toml images.npz -o new.seal --method nothing
generate model.toml images.npz -o new.seal --tie 1
generate model.toml images.npz
seal model.toml images.npz -o new.seal --samples 5 --candidates 2
seal model.toml images.npz -o new.seal --spec top9
seal model.toml images.npz -o new.seal --samples 17
seal model.toml images.npz -o model.toml
seal model.toml images.npz -o new.seal --allow fp8
seal model.toml images.npz -o new.seal --rule nothing
seal model.toml images.npz -o new.seal --power nothing
seal model.toml images.npz -o new.seal --workers 0
seal plan.toml images.npz -o new.seal
select model.toml missing.seal -o new.seal
select model.toml plain.seal -o new.seal
evaluate missing.toml -o results
evaluate model.toml -o results
evaluate plan.toml
report missing -o report
report . -o report
convert missing.caffemodel missing.prototxt -o new.safetensors
reproduce nothing --models . --data . -o out
reproduce vgg-face --models . --data . -o out
enroll plain.seal intact.jsonl -o new.seal
enroll plain.seal http://127.0.0.1:9/v2/models/m -o new.seal --retries 0
enroll enrolled.seal http://127.0.0.1:9/v2/models/m -o new.seal --retries 0
"""


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A folder after many command lines, and how each of them ended."""
    folder = tmp_path_factory.mktemp("codes")
    write_answers(folder)
    write_model(folder)
    for name, source in {
        "plain": "format-1.0.seal",
        "powered": "format-1.1.seal",
        "enrolled": "format-1.2.seal",
        "locked": "encrypted-1.0.locked",
    }.items():
        shutil.copy(GOLDEN / source, folder / f"{name}.seal")
    data = bytearray((folder / "plain.seal").read_bytes())
    (folder / "short.seal").write_bytes(data[:-1])
    data[-5] ^= 1
    (folder / "damaged.seal").write_bytes(data)
    (folder / "malformed.jsonl").write_text('{"sample": 0, "labels": "2"}\n')
    top1 = [{"sample": number, "labels": [label]} for number, label in enumerate((2, 3, 4))]
    (folder / "top1.jsonl").write_text("\n".join(map(json.dumps, top1)))
    (folder / "words").write_text("correct horse battery staple\n")
    (folder / "wrong-words").write_text("correct horse battery stable\n")
    before = {path.name for path in folder.iterdir()}
    lines = LINES.strip("\n").split("\n") + [f"{verb} --help" for verb in verbs_of_today()]
    told = list(zip(lines, run(folder, lines), strict=True))
    return folder, before, told


def test_exit_codes_are_the_same(ended):
    _, _, told = ended
    frozen("exit-codes", [[line, code] for line, (code, _, _) in told])


def test_wrong_use_says_so_on_standard_error_alone(ended):
    _, _, told = ended
    for line, (code, out, err) in told:
        if code == 2 and line:
            assert (out, err.count("\n")) == ("", 1), line
            assert err.startswith("modelseal: "), line


def test_the_same_files_are_written_with_the_same_keys(ended):
    folder, before, _ = ended
    names = sorted({path.name for path in folder.iterdir() if path.is_file()} - before)
    documents = {}
    for name in names:
        text = (folder / name).read_bytes().decode("utf-8", "replace")
        if text.startswith("{"):
            try:
                documents[name] = outline(json.loads(text))
            except json.JSONDecodeError:
                documents[name] = [outline(json.loads(line)) for line in text.splitlines()]
    frozen("written", {"names": names, "documents": documents})


# Verbs, options and the command lines of the documents.


def program():
    """The command of all verbs."""
    module = importlib.import_module(ENTRY.partition(":")[0])
    (app,) = [each for each in vars(module).values() if isinstance(each, typer.Typer)]
    return typer.main.get_command(app)


def verbs_of_today():
    """The verbs that were there when behaviour was frozen; all that there are, before that."""
    path = FROZEN / "verbs.json"
    return sorted(read(path) if path.is_file() else program().commands)


def default_of(value):
    """A default as JSON has it."""
    value = getattr(value, "value", value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def test_every_verb_and_option_is_there_with_its_default():
    frozen(
        "verbs",
        {
            name: {
                "arguments": [
                    [each.metavar, each.required, each.nargs]
                    for each in verb.params
                    if each.param_type_name == "argument"
                ],
                "options": {
                    word: [each.required, each.multiple, default_of(each.default)]
                    for each in verb.params
                    if each.param_type_name == "option"
                    for word in [*each.opts, *each.secondary_opts]
                },
            }
            for name, verb in program().commands.items()
        },
    )


def mentioned(page):
    """The command lines on a page, as lists of words without the program's name."""
    verbs = "|".join(program().commands)
    text = page.read_text("utf-8").replace("\\\n", " ")
    for line in re.findall(rf"\bmodelseal +((?:{verbs})\b[^`\n]*)", text):
        line = re.split(r"\s(?:\|\|?|&&|>|;|#)\s|\s\.\.\.|\[options\]|[;)]", line)[0]
        try:
            yield shlex.split(line.replace("[", "").replace("]", ""))
        except ValueError:
            continue


def parses(words):
    """Whether the parser takes a command line."""
    try:
        program().commands[words[0]].make_context(words[0], list(words[1:]))
    except (typer.BadParameter.__mro__[1], typer.Exit):
        return False
    return True


def options_in(words):
    return sorted({word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)})


def test_every_command_line_that_the_documents_had_is_taken():
    path = FROZEN / "command-lines.json"
    if os.environ.get("MODELSEAL_FREEZE"):
        today = {shlex.join(words) for page in PAGES for words in mentioned(page)}
        whole = sorted(line for line in today if parses(shlex.split(line)))
        used = {}
        for line in today:
            verb, *rest = shlex.split(line)
            used[verb] = sorted({*used.get(verb, ()), *options_in(rest)})
        path.write_text(f"{lay_out({'whole': whole, 'used': used})}\n", encoding="utf-8")
    known = read(path)
    assert len(known["whole"]) > 40
    assert [line for line in known["whole"] if not parses(shlex.split(line))] == []
    for verb, options in known["used"].items():
        there = {word for each in program().commands[verb].params for word in each.opts}
        assert set(options) <= there | {"--help", "-h"}, verb


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_option_that_a_page_uses_is_one(page):
    for words in mentioned(page):
        there = {word for each in program().commands[words[0]].params for word in each.opts}
        assert set(options_in(words[1:])) <= there | {"--help", "-h"}, words


# An evaluation.


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """A folder with the results of a small plan and a report of them."""
    folder = tmp_path_factory.mktemp("evaluated")
    write_model(folder)
    lines = ["evaluate plan.toml -o results", "report results -o report"]
    return folder, run(folder, lines)


def test_the_trials_of_an_evaluation_are_the_same(evaluated):
    folder, (told, _) = evaluated
    assert told[0] == 0, told
    results = folder / "results"
    trials = {}
    for path in sorted(results.glob("trials/*/*.json")):
        each = read(path)
        changed = "".join(str(int(answer)) for answer in each["changed"])
        trials[f"{path.parent.name}/{path.stem}"] = [changed, each["effect"], each["reason"]]
    sets = {}
    for path in sorted(results.glob("samples/*.json")):
        each = read(path)
        sets[path.stem] = {key: each[key] for key in ("picks", "psnr", "margins", "work")}
        sets[path.stem]["keys"] = sorted(each)
    alarms = {path.stem: read(path) for path in sorted(results.glob("harmless/*.json"))}
    plan = read(results / "plan.json")
    frozen("evaluation", {"trials": trials, "sets": sets, "alarms": alarms, "plan": outline(plan)})


def test_the_tables_of_a_report_count_the_same(evaluated):
    def shares(value):
        """All counts of a table with what they are of, without roundings and seconds."""
        if isinstance(value, dict):
            return {
                key: shares(each)
                for key, each in value.items()
                if key not in ("psnr", "margins", "moves", "value", "low", "high", "median")
            }
        return [shares(each) for each in value] if isinstance(value, list) else value

    folder, (_, told) = evaluated
    assert told[0] == 0, told
    report = folder / "report"
    tables = read(report / "tables.json")
    (summary,) = tables["summaries"]
    names = sorted(str(path.relative_to(report)) for path in report.rglob("*") if path.is_file())
    kept = ("methods", "rules", "overviews", "detections", "alarms", "comparison", "comparisons")
    frozen(
        "report",
        {
            "files": names,
            "keys": sorted(summary),
            "tables": {key: shares(summary[key]) for key in kept if key in summary},
        },
    )
