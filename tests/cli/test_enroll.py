import json
import re
from pathlib import Path

import numpy as np
import pytest
import sealed
from noisy import Noisy, other

from modelseal.domain import Domain
from modelseal.endpoints import factory
from modelseal.fingerprint.file_format import load
from modelseal.verification.ledger import open_ledger, read_ledger

URL = "http://user:secret@host/v2/models/m"


@pytest.fixture
def serve(monkeypatch):
    """Lets every endpoint be one whose answers vary as the test says."""

    def begin(made, *, patch=monkeypatch, **settings):
        endpoint = Noisy(fingerprint=made, **settings)
        patch.setattr(factory, "endpoint", lambda *_, **__: endpoint)
        return endpoint

    return begin


@pytest.fixture
def out(folder):
    """Writes a fingerprint of eight samples."""

    def build(**changes):
        made = sealed.fingerprint(**{"count": 8, **changes})
        made.save(folder / "out.seal")
        return made

    return build


def test_a_steady_deployment_is_enrolled_and_verified(out, folder, run, serve):
    made = out()
    serve(made, noise={2: 0.05})
    result = run("enroll", "out.seal", URL, "-o", "on.seal", "--seed", 1)
    assert (result.exit_code, result.stderr) == (0, "")
    found = load(folder / "on.seal").enrollment
    assert result.stdout.splitlines() == [
        "on.seal: 8 samples",
        "8 of 8 samples are answered steadily",
        f"{sum(found.differing)} of 240 answers differed, {max(found.differing)} of 30 at the most "
        "for one sample",
    ]
    assert found.endpoint == "http://host/v2/models/m"
    verdict = run("verify", "on.seal", URL)
    assert verdict.exit_code == 0
    lines = verdict.stdout.splitlines()
    assert lines[0].startswith("INTACT: 8 of 8 samples are still answered as enrolled: ")
    assert "of 200 for an alarm, p-value" in lines[1]
    assert lines[1].endswith("; false alarms at most 1 %")


def test_a_changed_sample_is_tampering_with_exit_code_1_and_its_numbers(out, folder, run, serve):
    made = out()
    serve(made)
    run("enroll", "out.seal", URL, "-o", "on.seal")
    serve(made, changed={3: other(made, 3)})
    result = run("verify", "on.seal", URL, "--json", "-")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    found = document["statistics"]
    assert found["e_value"] >= found["bar"] == 200
    assert found["p_value"] == 1 / found["e_value"]
    tallies = {entry["sample"]: entry["tally"] for entry in document["evidence"]}
    assert sum(sum(tally.values()) for tally in tallies.values()) == found["queries"]
    assert tallies[3]["agrees"] == 0


def test_the_terms_reach_the_test(out, run, serve):
    made = out()
    serve(made)
    run("enroll", "out.seal", URL, "-o", "on.seal", "--repeats", 40, "--alpha", 0.02)
    options = ("--alpha", 0.1, "--look", 2, "--queries", 17)
    result = run("verify", "on.seal", URL, "--json", "-", *options)
    assert result.exit_code == 3
    found = json.loads(result.stdout)["statistics"]
    assert (found["false_alarm_bound"], found["look"], found["queries"]) == (0.1, 2, 17)
    assert found["bar"] == pytest.approx(20 * np.pi**2 / 6 * 4)
    usual = json.loads(run("verify", "on.seal", URL, "--json", "-").stdout)["statistics"]
    assert (usual["false_alarm_bound"], usual["look"]) == (0.02, None)


def test_a_deployment_that_answers_otherwise_has_to_be_accepted(out, folder, run, serve):
    made = out()
    serve(made, changed={5: other(made, 5)})
    refused = run("enroll", "out.seal", URL, "-o", "on.seal")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "1 of 8 samples are answered otherwise than by the sealed network" in refused.stderr
    assert not (folder / "on.seal").exists()
    accepted = run("enroll", "out.seal", URL, "-o", "on.seal", "--accept-other")
    assert accepted.exit_code == 0
    assert accepted.stderr.startswith(
        "modelseal: 1 of 8 samples are answered otherwise than by the "
    )
    assert "enrolled as they are" in accepted.stderr
    assert sum(load(folder / "on.seal").enrollment.otherwise) == 1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--concurrency", 2], "concurrency: "),
        (["--alpha", 1e-9], "alpha: "),
        (["--cover", 2, "--naturals", "images.npz"], "decoys: "),
    ],
)
def test_options_that_contradict_an_enrolment_are_found_before_samples_are_spent(
    out, folder, run, serve, options, problem
):
    made = out(domain=Domain(shape=(1, 4, 4)))
    serve(made)
    run("enroll", "out.seal", URL, "-o", "on.seal")
    images = np.random.default_rng(0).integers(0, 256, (4, 4, 4), dtype=np.uint8)
    np.savez(folder / "images.npz", images=images)
    endpoint = serve(made)
    kept = ("--per-check", 4, "--record", "r.jsonl")
    result = run("verify", "on.seal", URL, *kept, *options)
    assert (result.exit_code, result.stdout, endpoint.asked) == (2, "", [])
    assert problem in result.stderr
    names = {file.name for file in folder.iterdir()}
    assert names == {"out.seal", "on.seal", "images.npz"}


def test_natural_images_are_asked_before_a_deployment_is_enrolled(out, folder, run, serve):
    made = out(domain=Domain(shape=(1, 4, 4)))
    images = np.random.default_rng(0).integers(0, 256, (4, 4, 4), dtype=np.uint8)
    np.savez(folder / "few.npz", images=images, labels=np.zeros(4, int))
    open_ledger(folder / "out.seal.ledger", made, per_check=None)
    endpoint = serve(made)  # knows no other input than samples
    result = run("enroll", "out.seal", URL, "-o", "on.seal", "--check", "few.npz")
    assert (result.exit_code, result.stdout, endpoint.asked) == (2, "", [])
    assert "an unknown input" in result.stderr
    assert not (folder / "on.seal").exists()
    assert read_ledger(folder / "out.seal.ledger").entries == ()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["out.seal", URL, "-o", "out.seal"], "out.seal: "),
        (["out.seal", URL, "-o", "no/on.seal"], "no/on.seal: "),
        (["none.seal", URL, "-o", "on.seal"], "none.seal: "),
        (["out.seal", "somewhere", "-o", "on.seal"], "somewhere"),
        (["out.seal", URL, "-o", "on.seal", "--alpha", "2"], "alpha: "),
        (["out.seal", URL, "-o", "on.seal", "--repeats", "5"], "repeats: "),
        (["out.seal", URL, "-o", "on.seal", "--most-unstable", "0.6"], "most_unstable: "),
    ],
)
def test_wrong_use_is_one_sentence_with_exit_code_2(out, folder, run, arguments, problem):
    out()
    result = run("enroll", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (folder / "on.seal").exists()


def test_an_inspection_tells_the_enrolment_and_the_neighbours(out, folder, run, serve):
    made = out(count=4, neighbours=sealed.NEIGHBOURS)
    serve(made, changed={1: other(made, 1)}, beside={1: other(made, 1)})
    plain = run("inspect", "out.seal").stdout
    assert "neighbours: 7 in all, of 4 samples\n" in plain
    assert "enrolled" not in plain
    assert run("enroll", "out.seal", URL, "-o", "on.seal", "--accept-other").exit_code == 0
    told = run("inspect", "on.seal").stdout
    assert "enrolled: http://host/v2/models/m, 20" in told
    assert "steadiness: 0 of 120 answers differed, 0 of 30 at the most for one sample\n" in told
    assert "as sealed: 1 of 4 samples are answered otherwise than by the sealed network" in told
    document = json.loads(run("inspect", "on.seal", "--json", "-").stdout)
    assert document["neighbours"] == 7
    assert document["enrolment"]["otherwise"] == [False, True, False, False]


def test_what_is_enrolled_of_an_encrypted_fingerprint_is_encrypted_too(out, folder, run, serve):
    serve(out())
    run("keygen", "-o", "k")
    run("encrypt", "out.seal", "-o", "e.seal", "--encrypt-to", "k.pub.pem")
    plain = run("enroll", "e.seal", URL, "-o", "on.seal", "--key", "k.pem")
    assert (plain.exit_code, plain.stdout) == (2, "")
    assert "e.seal: " in plain.stderr
    assert not (folder / "on.seal").exists()
    arguments = ("e.seal", URL, "-o", "on.seal", "--key", "k.pem", "--encrypt-to", "k.pub.pem")
    assert run("enroll", *arguments).exit_code == 0
    assert (folder / "on.seal").read_bytes().startswith(b"modelseal-encrypted 1.0\n")
    assert run("verify", "on.seal", URL, "--key", "k.pem").exit_code == 0


def described():
    """The keys that the docs describe for enrolled fingerprints."""
    text = (Path(__file__).parents[2] / "docs" / "reference" / "json-documents.md").read_text(
        encoding="utf-8"
    )
    section = text.split("## Enrolled fingerprints")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


def test_the_docs_describe_every_key_that_only_enrolled_fingerprints_have(
    out, seal_file, run, serve
):
    seal_file()
    plain = json.loads(run("verify", "out.seal", "answers.jsonl", "--json", "-").stdout)
    facts = json.loads(run("inspect", "out.seal", "--json", "-").stdout)
    made = out(count=4, neighbours=sealed.NEIGHBOURS)
    serve(made)
    run("enroll", "out.seal", URL, "-o", "on.seal")
    verdict = json.loads(run("verify", "on.seal", URL, "--json", "-").stdout)
    inspection = json.loads(run("inspect", "on.seal", "--json", "-").stdout)
    more = (verdict.keys() - plain.keys()) | (inspection.keys() - facts.keys())
    more |= verdict["evidence"][0].keys() - plain["evidence"][0].keys()
    assert more == {"statistics", "tally", "neighbours", "enrolment"}
    assert described() == (more - {"statistics"}) | verdict["statistics"].keys()
