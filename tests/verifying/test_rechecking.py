import base64
import copy
import json

import evidence
import numpy as np
import pytest
import sealed

from modelseal.endpoints.recorded import RecordedEndpoint
from modelseal.errors import BadFileError
from modelseal.fingerprint.codec import canonical
from modelseal.outputs.specs import TopProbabilities
from modelseal.verdict import Finding, Outcome
from modelseal.verification.commitment import commit
from modelseal.verification.evidence import message_of, read_bundle, recheck, write_bundle
from modelseal.verification.verify import verify

MADE = evidence.made()
PUBLIC = commit(MADE, evidence.salts_of(MADE))
RIGHT = int(MADE.expected.labels[3, 0])
WRONG = evidence.lines_of(MADE, numbers=[3], labels=[(RIGHT + 1) % 5])
LINES = [*evidence.lines_of(MADE, numbers=[0, 2, 5]), *WRONG]
DOCUMENT = json.loads(write_bundle(evidence.bundle_of(MADE, LINES)))


def check(document, *, public=PUBLIC):
    text = f"{canonical(document)}\n".encode()
    return recheck(read_bundle(text, name="b"), name="b", commitment=public)


def signed(document):
    """The same bundle, signed again by its maker, who is not honest."""
    again = copy.deepcopy(document)
    bundle = read_bundle(f"{canonical(again)}\n".encode(), name="b")
    signature = evidence.salts_of(MADE).key.sign(message_of(bundle))
    return again | {"signature": base64.b64encode(signature).decode()}


def changed(change, document=DOCUMENT):
    again = copy.deepcopy(document)
    change(again)
    return again


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


def test_all_the_bundle_is_covered_by_the_edits():
    assert {where[0] for where, _ in EVERY} == {*DOCUMENT, "+"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda d: d["asked"][0]["sample"].update(labels=[1]),
            "sample 0 is not what was committed",
        ),
        (lambda d: d["asked"][0]["sample"].update(codes="AAAAAAAA"), "sample 0 is not what was"),
        (lambda d: d["asked"][0]["sample"].update(margin=0.25), "sample 0 is not what was"),
        (lambda d: d["asked"][0].update(salt="0" * 64), "sample 0 is not what was committed"),
        (lambda d: d["asked"][0].update(number=1), "sample 1 is not what was committed"),
        (lambda d: d["asked"][0].update(number=6), "each of 6 samples was wanted once at most"),
        (lambda d: d["asked"].append(d["asked"][0]), "each of 6 samples was wanted once at most"),
        (lambda d: d.update(names=["a"]), "names: one name for each of 5 classes"),
    ],
)
def test_its_maker_cannot_show_anything_but_what_was_committed_to(change, problem):
    with pytest.raises(BadFileError, match=problem):
        check(signed(changed(change)))


def test_a_bundle_with_a_commitment_of_its_own_is_found_out_only_by_the_public_one():
    other = evidence.made(margins=MADE.margins * 2)
    document = json.loads(write_bundle(evidence.bundle_of(other, evidence.lines_of(other))))
    assert check(document, public=None).outcome is Outcome.INTACT
    with pytest.raises(BadFileError, match="another commitment than the public one is in it"):
        check(document)


def test_all_revealed_samples_that_agree_are_intact_and_say_of_how_many():
    lines = evidence.lines_of(MADE, numbers=[1, 4])
    verdict = check(json.loads(write_bundle(evidence.bundle_of(MADE, lines))))
    assert verdict.outcome is Outcome.INTACT
    assert verdict.chosen == (1, 4)
    assert verdict.reason == "2 of 2 revealed samples, of 6 sealed ones, answered as expected"


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
    lines = [*evidence.lines_of(MADE, numbers=[1, 4]), {"sample": 2, **answer}]
    verdict = check(json.loads(write_bundle(evidence.bundle_of(MADE, lines))))
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
        document = json.loads(write_bundle(evidence.bundle_of(MADE, lines)))
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
    document = json.loads(write_bundle(evidence.bundle_of(made, lines)))
    assert check(document, public=None).outcome is Outcome.INTACT
    for key in ("labels", "probabilities", "scores"):
        if key in lines[1]:
            lines[1][key] = lines[1][key][::-1] if len(lines[1][key]) > 1 else [4]
    document = json.loads(write_bundle(evidence.bundle_of(made, lines)))
    assert check(document, public=None).outcome is Outcome.TAMPERED


def test_expected_values_that_the_spec_does_not_show_are_refused():
    made = sealed.fingerprint(count=3, spec=TopProbabilities(2, 3))
    salts = evidence.salts_of(made)
    lines = [{"sample": 0, "labels": [0, 1], "probabilities": [0.5, 0.5]}]
    document = json.loads(write_bundle(evidence.bundle_of(made, lines)))
    document["commitment"]["spec"] = "top1"
    bundle = read_bundle(f"{canonical(document)}\n".encode(), name="b")
    document["signature"] = base64.b64encode(salts.key.sign(message_of(bundle))).decode()
    with pytest.raises(BadFileError, match="expected"):
        check(document, public=None)
