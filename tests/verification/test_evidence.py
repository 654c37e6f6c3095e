import base64
import copy
import hashlib
import hmac
import json
from pathlib import Path

import evidence
import numpy as np
import pytest
import sealed
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from evidence import TIME, salts_file
from refusals import refuses

from modelseal.endpoints.recorded import RecordedEndpoint
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.fingerprint.file_format import canonical
from modelseal.outputs.specs import TopProbabilities
from modelseal.verdict import Finding, Outcome
from modelseal.verification.commitment import (
    commit,
    draw_salts,
    load_commitment,
    load_salts,
    make_commitment,
    write_part,
)
from modelseal.verification.evidence import (
    SIGNED,
    judge_bundle,
    read_bundle,
    read_records,
    recheck,
    reveal,
)
from modelseal.verification.verify import verify

FOUR = sealed.fingerprint(count=4)


@pytest.mark.parametrize("spec", sealed.SPECS, ids=str)
@pytest.mark.parametrize("domain", sealed.DOMAINS, ids=str)
def test_every_hash_is_what_the_page_on_the_format_says(spec, domain):
    # Computed apart from the module, by the page alone.
    made = sealed.fingerprint(count=2, spec=spec, domain=domain)
    commitment = make_commitment(made, salts_file(made))
    secret = bytes.fromhex("5" * 64)
    for number, found in enumerate(commitment.samples):
        message = b"modelseal.commitment/1 salt\n" + number.to_bytes(8, "little")
        salt = hmac.new(secret, message + made.digest.encode(), hashlib.sha256).digest()
        expected = made.expected
        sample = {
            "codes": base64.b64encode(made.samples[number].tobytes()).decode(),
            "labels": expected.labels[number].tolist() if expected.labels is not None else None,
            "values": expected.values[number].tolist() if expected.values is not None else None,
            "margin": made.margins[number],
        }
        text = b"modelseal.commitment/1 sample\n" + salt + canonical(sample).encode()
        assert found == hashlib.sha256(text).hexdigest()


def test_a_commitment_is_for_everybody_and_its_salts_are_drawn_once_for_their_owner(tmp_path):
    first, second = (commit(FOUR, salts=tmp_path / "s") for _ in range(2))
    assert first == second
    first.save(tmp_path / "c")
    assert load_commitment(tmp_path / "c") == first
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in "cs"] == [0o644, 0o600]
    with refuses(BadFileError, file=tmp_path / "s", field="fingerprint"):
        load_salts(tmp_path / "s", sealed.fingerprint(count=3))
    with refuses(InvalidArgumentError, field="fingerprint"):
        commit(sealed.fingerprint(enrollment=sealed.enrolment()), salts=tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_the_key_of_bundles_comes_of_the_salts_alone():
    message = b"modelseal.commitment/1 signing key\n" + FOUR.digest.encode()
    seed = hmac.new(bytes.fromhex("5" * 64), message, hashlib.sha256).digest()
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw().hex()
    assert make_commitment(FOUR, salts_file(FOUR)).key == public
    assert "5555" not in repr(salts_file(FOUR))


def test_whoever_guesses_the_whole_file_learns_nothing_from_the_commitment():
    # The salts are no function of the file: another draw gives other hashes everywhere.
    one, other = (make_commitment(FOUR, draw_salts(FOUR, time=TIME)) for _ in range(2))
    assert not set(one.samples) & set(other.samples)
    assert one.key != other.key


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'{"schema": "modelseal.commitment/2"}'])
def test_what_is_no_commitment_no_salts_and_no_bundle_is_refused(tmp_path, text):
    path = tmp_path / "c.json"
    path.write_bytes(text)
    for read in (load_commitment, lambda path: load_salts(path, FOUR), recheck):
        with refuses(BadFileError, file=path):
            read(path)


def written(bundle):
    return json.loads(write_part(bundle))


# Revealing

MADE = evidence.made()
HEADING = {
    "schema": "modelseal.record/1",
    "fingerprint": MADE.digest,
    "endpoint": "http://a",
    "neighbours": False,
}


def test_a_bundle_holds_what_was_asked_and_nothing_of_the_other_samples():
    bundle = evidence.bundle_of(MADE, evidence.lines_of(MADE, numbers=[4, 1]))
    text = write_part(bundle).decode()
    assert [asked.number for asked in bundle.asked] == [1, 4]
    assert bundle.asked[0].answers[0].time == evidence.TIME
    salts = evidence.salts_file(MADE)
    for number in range(len(MADE)):
        assert (salts.salt(number).hex() in text) == (number in {1, 4})
    assert salts.secret not in text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", None),
        ("\n\n", None),
        ("x", 1),
        ('{"sample": 6, "labels": [1]}', 1),
        ('{"sample": true, "labels": [1]}', 1),
        ('{"labels": [1]}', 1),
        ('{"sample": 1, "labels": [1.5]}', 1),
        ('{"sample": 1, "labels": []}', 1),
        ('{"sample": 1, "scores": [NaN]}', 1),
        ('{"sample": 1, "image": 1}', 1),
        ('{"schema": 1}', 1),
        ('{"sample": 1, "labels": [1]}\n{"schema": 1}', 2),
    ],
)
def test_a_malformed_record_is_refused_with_its_line(text, line):
    with pytest.raises(BadFileError, match=f"^r: line {line}" if line else "^r: "):
        read_records(text.encode(), MADE, name="r")


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("fingerprint", {"fingerprint": "sha256:" + "0" * 64}),
        ("fingerprint", {"fingerprint": None}),
        ("neighbours", {"neighbours": True}),
    ],
)
def test_a_record_of_something_else_is_no_evidence(field, changes):
    lines = [HEADING | changes, *evidence.lines_of(MADE)]
    with refuses(BadFileError, field=field):
        evidence.bundle_of(MADE, lines)


def test_files_lead_from_a_commitment_to_a_verdict(tmp_path):
    record, salts, public, bundle = (tmp_path / name for name in ("r", "s", "c", "b"))
    record.write_text("\n".join(map(json.dumps, [HEADING, *evidence.lines_of(MADE)])))
    commit(MADE, salts=salts).save(public)
    reveal(MADE, record, salts=salts).save(bundle)
    found = recheck(bundle, commitment=public)
    assert found.verdict.outcome is Outcome.INTACT
    assert found.verdict.provenance.endpoint == "http://a"
    document = found.to_json()
    assert document["schema"] == "modelseal.recheck/1"
    assert (document["bundle"], document["commitment"]) == (str(bundle), str(public))
    assert recheck(bundle).to_json()["commitment"] is None


def test_a_bundle_that_recheck_would_not_read_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr("modelseal.verification.evidence.MAX_BYTES", 100)
    with refuses(BadFileError, file=tmp_path / "b"):
        evidence.bundle_of(MADE, evidence.lines_of(MADE)).save(tmp_path / "b")
    assert not Path(tmp_path / "b").exists()


# Rechecking

PUBLIC = make_commitment(MADE, evidence.salts_file(MADE))
RIGHT = int(MADE.expected.labels[3, 0])
WRONG = evidence.lines_of(MADE, numbers=[3], labels=[(RIGHT + 1) % 5])
LINES = [*evidence.lines_of(MADE, numbers=[0, 2, 5]), *WRONG]
DOCUMENT = written(evidence.bundle_of(MADE, LINES))


def check(document, *, public=PUBLIC):
    text = f"{canonical(document)}\n".encode()
    return judge_bundle(read_bundle(text, name="b"), name="b", commitment=public)


def signed(document, salts=salts_file(MADE)):  # noqa: B008 (always the same)
    """The same bundle, signed again by its maker, who is not honest."""
    parts = {key: part for key, part in document.items() if key != "signature"}
    signature = salts.key.sign(SIGNED + canonical(parts).encode())
    return parts | {"signature": base64.b64encode(signature).decode()}


def mutations(value, path=()):
    """Every document in which one thing is changed, taken away or added, with where it is."""
    if isinstance(value, dict):
        yield (*path, "+"), {**value, "more": 1}
        for key, part in value.items():
            yield (*path, key, "-"), {k: v for k, v in value.items() if k != key}
            for where, other in mutations(part, (*path, key)):
                yield where, {**value, key: other}
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield (*path, number, "-"), value[:number] + value[number + 1 :]
            yield (*path, number, "x2"), [*value[: number + 1], *value[number:]]
            for where, other in mutations(part, (*path, number)):
                yield where, [*value[:number], other, *value[number + 1 :]]
    else:
        yield from ((path, other) for other in others(value))


def others(value):
    """Some values that are not this one."""
    if isinstance(value, str):
        return [value + "0", ("1" if value[:1] != "1" else "2") + value[1:], None]
    return [1, "1", [1]] if value is None else [value + 1, str(value)]


EVERY = [*mutations(DOCUMENT)]


def test_an_honest_bundle_says_again_what_the_answers_say():
    verdict = check(DOCUMENT)
    assert verdict.outcome is Outcome.TAMPERED
    assert verdict.reason == "1 of 4 revealed samples, of 6 sealed ones, answered otherwise"
    found = {entry.sample: entry for entry in verdict.evidence}
    assert found[3].finding is Finding.DIFFERS
    names = [evidence.NAMES[RIGHT], evidence.NAMES[(RIGHT + 1) % 5]]
    assert [found[3].expected, found[3].shown] == names
    assert [found[number].finding for number in (0, 2, 5)] == [Finding.AGREES] * 3


@pytest.mark.parametrize("place", range(len(EVERY)), ids=lambda n: ".".join(map(str, EVERY[n][0])))
def test_any_edit_is_found_when_the_commitment_is_given(place):
    with pytest.raises(BadFileError, match=r"^b: "):
        check(EVERY[place][1])


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("asked[0].sample", lambda d: d["asked"][0]["sample"].update(labels=[1])),
        ("asked[0].sample", lambda d: d["asked"][0]["sample"].update(codes="AAAAAAAA")),
        ("asked[0].sample", lambda d: d["asked"][0]["sample"].update(margin=0.25)),
        ("asked[0].sample", lambda d: d["asked"][0].update(salt="0" * 64)),
        ("asked[0].sample", lambda d: d["asked"][0].update(number=1)),
        ("asked", lambda d: d["asked"][0].update(number=6)),
        ("asked", lambda d: d["asked"].append(d["asked"][0])),
        ("names", lambda d: d.update(names=["a"])),
    ],
)
def test_its_maker_cannot_show_anything_but_what_was_committed_to(field, change):
    document = copy.deepcopy(DOCUMENT)
    change(document)
    with refuses(BadFileError, field=field):
        check(signed(document))


def test_a_bundle_with_a_commitment_of_its_own_is_found_out_only_by_the_public_one():
    other = evidence.made(margins=MADE.margins * 2)
    document = written(evidence.bundle_of(other, evidence.lines_of(other)))
    assert check(document, public=None).outcome is Outcome.INTACT
    with refuses(BadFileError, field="commitment"):
        check(document)


@pytest.mark.parametrize(
    "answer",
    [
        {"error": "no answer came"},
        {},
        {"scores": [0.5]},
        {"labels": [99]},
        {"labels": [2**70]},
        {"labels": [1], "probabilities": [0.5, 0.5]},
        {"labels": [1], "scores": [0.5]},
        {"probabilities": [5.0, 0.0, 0.0, 0.0, 0.0], "scores": [5.0, 0.0, 0.0, 0.0, 0.0]},
    ],
    ids=str,
)
def test_an_answer_that_is_missing_or_malformed_is_never_intact(answer):
    lines = evidence.lines_of(MADE, numbers=[1, 4])
    verdict = check(written(evidence.bundle_of(MADE, lines, odd={2: answer})))
    assert verdict.outcome is Outcome.UNDECIDED
    assert verdict.reason == "1 of 3 revealed samples, of 6 sealed ones, gave no clear answer"


def test_several_lines_about_one_sample_say_what_they_say_to_verify(tmp_path):
    right, failed = evidence.lines_of(MADE, numbers=[3]), {"sample": 3, "error": "none"}
    others = evidence.lines_of(MADE, numbers=[0, 1, 2, 4, 5])
    for lines, outcome in (
        ([*right, *right], Outcome.INTACT),
        ([*right, failed], Outcome.INTACT),
        ([failed, failed], Outcome.UNDECIDED),
        ([failed, *WRONG, failed], Outcome.TAMPERED),
        ([*WRONG, *right], Outcome.UNDECIDED),
    ):
        document = written(evidence.bundle_of(MADE, lines))
        assert check(document).outcome is outcome
        path = tmp_path / "r.jsonl"
        path.write_text("".join(f"{json.dumps(line)}\n" for line in [*others, *lines]))
        endpoint = RecordedEndpoint(path, MADE.samples)
        verdict = verify(MADE, endpoint, generator=np.random.default_rng(0))
        assert verdict.outcome is outcome


@pytest.mark.parametrize("spec", sealed.SPECS, ids=str)
@pytest.mark.parametrize("domain", sealed.DOMAINS, ids=str)
def test_answers_are_judged_by_every_spec_as_verifying_does(spec, domain):
    made = sealed.fingerprint(count=3, spec=spec, domain=domain)
    key = {"labels": "probabilities"}.get(made.expected.kind.value, made.expected.kind.value)
    lines = [{"sample": row} for row in range(3)]
    for row, line in enumerate(lines):
        if made.expected.labels is not None:
            line["labels"] = made.expected.labels[row].tolist()
        if made.expected.values is not None:
            line[key] = made.expected.values[row].tolist()
    document = written(evidence.bundle_of(made, lines))
    assert check(document, public=None).outcome is Outcome.INTACT
    for key in ("labels", "probabilities", "scores"):
        if key in lines[1]:
            lines[1][key] = lines[1][key][::-1] if len(lines[1][key]) > 1 else [4]
    document = written(evidence.bundle_of(made, lines))
    assert check(document, public=None).outcome is Outcome.TAMPERED


def test_expected_values_that_the_spec_does_not_show_are_refused():
    made = sealed.fingerprint(count=3, spec=TopProbabilities(2, 3))
    lines = [{"sample": 0, "labels": [0, 1], "probabilities": [0.5, 0.5]}]
    document = written(evidence.bundle_of(made, lines))
    document["commitment"]["spec"] = "top1"
    with refuses(BadFileError):
        check(signed(document, salts_file(made)), public=None)
