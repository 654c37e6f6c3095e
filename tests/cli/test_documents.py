import json
import re
from pathlib import Path

import pytest
import sealed
from hypothesis import given, settings

import modelseal as ms

DOCS = Path(__file__).parents[2] / "docs" / "reference" / "json-documents.md"


def example(schema):
    """The example of a schema in the docs."""
    blocks = re.findall(r"```json\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    (found,) = (block for block in blocks if f'"schema": "{schema}"' in block)
    return found


def described(schema):
    """The keys that the docs describe below the schema's heading, with those of its parts."""
    text = DOCS.read_text(encoding="utf-8")
    section = text.split(f"## `{schema}`")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


def keys(document):
    """All keys of a document and its parts, but for the names that a user or method chose."""
    found = set(document) if isinstance(document, dict) else set()
    parts = document.items() if isinstance(document, dict) else enumerate(document)
    for key, part in parts:
        if isinstance(part, dict | list) and key not in {"parameters", "packages"}:
            found |= keys(part)
    return found


def normal(document, **changes):
    """The document as text, but for what is never the same."""
    return json.dumps({**document, **changes}, indent=2, sort_keys=True) + "\n"


def test_the_verdict_in_the_docs_is_what_the_program_writes(seal_file, run):
    seal_file(wrong=[1], names=("ant", "bee", "cat", "dog", "elk"))
    result = run("verify", "out.seal", "answers.jsonl", "--all", "--seed", 0, "--json", "-")
    document = json.loads(result.stdout)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["time"])
    written = json.loads(example("modelseal.verdict/1"))
    same = {key: written[key] for key in ("time", "modelseal")}
    assert example("modelseal.verdict/1") == normal(document, **same)


def test_the_inspection_in_the_docs_is_what_the_program_writes(seal_file, run):
    seal_file(count=8, power=sealed.LIMITS)
    document = json.loads(run("inspect", "out.seal", "--json", "-").stdout)
    written = json.loads(example("modelseal.inspection/1"))
    assert example("modelseal.inspection/1") == normal(document, modelseal=written["modelseal"])


@pytest.mark.parametrize("schema", ["modelseal.verdict/1", "modelseal.inspection/1"])
def test_every_key_is_described_in_the_docs_and_nothing_else(schema):
    assert described(schema) == keys(json.loads(example(schema)))


@settings(deadline=None)
@given(sealed.parts())
def test_any_fingerprint_gives_finite_numbers_only(made):
    document = ms.inspect(sealed.assemble(made))
    json.dumps(document, allow_nan=False)


def test_no_sample_or_expected_answer_is_in_an_inspection():
    first, second = sealed.fields(), sealed.fields()
    second["samples"] = second["samples"] // 2
    second["expected"].labels[:] = second["expected"].labels[::-1].copy()
    documents = [ms.inspect(sealed.Fingerprint(**each)) for each in (first, second)]
    assert documents[0] == documents[1]


@pytest.mark.parametrize("wrong", [[], [1]])
def test_a_verdict_says_what_it_rules_out_only_if_the_model_is_intact(seal_file, run, wrong):
    seal_file(wrong=wrong, power=sealed.LIMITS)
    document = json.loads(run("verify", "out.seal", "answers.jsonl", "--json", "-").stdout)
    inspected = json.loads(run("inspect", "out.seal", "--json", "-").stdout)
    assert document["rules_out"] == ([] if wrong else inspected["power"])
    assert inspected["power"][0] == {
        "family": "Gaussian noise",
        "unit": "of each layer's spread",
        "level": 2.0**-14,
        "noticed": 20,
        "draws": 20,
        "fixed": False,
        "at_least": sealed.LIMITS[0].at_least,
    }
    assert inspected["power"][1]["level"] is None
    assert len(inspected["power"]) == 4
