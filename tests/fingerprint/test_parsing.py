import json

import pytest
import sealed

from modelseal.errors import BadFileError
from modelseal.fingerprint.codec import describe
from modelseal.fingerprint.format import FORMAT, parse_header

GOOD = {**describe(sealed.fingerprint(names=("a", "b", "c", "d", "e"))), "digest": "sha256:0"}
POWER = {**GOOD, **describe(sealed.fingerprint(power=sealed.LIMITS))}


def envelope(header):
    return json.dumps({"__metadata__": {"modelseal": header}, "samples": {}}).encode()


def changed(path, value):
    """The good header as JSON with one field changed, or removed if the value is `...`."""
    header = json.loads(json.dumps(GOOD))
    *folders, last = path.split(".")
    place = header
    for folder in folders:
        place = place[folder]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return json.dumps(header)


def test_a_good_header_is_read_field_by_field():
    header = parse_header(envelope(json.dumps(GOOD)), name="a.seal")
    assert json.loads(header.model_dump_json()) == GOOD


WRONG = [
    ("format", "1", "format: expected match pattern"),
    ("format", 1.0, "format: expected a valid string"),
    ("format", ..., "format: is missing"),
    ("digest", ..., "digest: is missing"),
    ("extra", 1, "extra: unknown key"),
    ("spec", 5, "spec: expected a valid string"),
    ("classes", "5", "classes: expected a valid integer"),
    ("classes", 5.0, "classes: expected a valid integer"),
    ("classes", True, "classes: expected a valid integer"),
    ("classes", None, "classes: expected a valid integer"),
    ("names", "abcde", "names: expected a valid array"),
    ("names", ["a", "b", 3], r"names\[2\]: expected a valid string"),
    ("factor", float("nan"), "factor: expected a finite number"),
    ("factor", float("inf"), "factor: expected a finite number"),
    ("factor", "10", "factor: expected a valid number"),
    ("domain.shape", [2, "3"], r"domain.shape\[1\]: expected a valid integer"),
    ("domain.bounds", [0.0], r"domain.bounds\[1\]: is missing"),
    ("domain.bounds", [0.0, 1.0, 2.0], "domain.bounds: expected at most 2 items"),
    ("domain.levels", ..., "domain.levels: is missing"),
    ("domain.mean", 0.5, "domain.mean: unknown key"),
    ("origin", [], "origin: "),
    ("origin.seed", "7", "origin.seed: expected a valid integer"),
    ("origin.packages.numpy", 2, "origin.packages.numpy: expected a valid string"),
    ("origin.parameters.tie", True, "origin.parameters.tie: input should be a text or a number"),
    ("origin.parameters.tie", None, "origin.parameters.tie: input should be a text or a number"),
    ("origin.parameters.tie", [1], "origin.parameters.tie: input should be a text or a number"),
    ("origin.parameters.tie", float("nan"), "origin.parameters.tie: .* a finite number"),
    ("origin.variants", {}, "origin.variants: expected a valid array"),
]


@pytest.mark.parametrize(("path", "value", "problem"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_field_is_named_with_its_path(path, value, problem):
    with pytest.raises(BadFileError, match=f"^a.seal: {problem}") as caught:
        parse_header(envelope(changed(path, value)), name="a.seal")
    assert caught.value.field.startswith(path)


@pytest.mark.parametrize("version", ["2.0", "1.3", "1.10", "10.0"])
def test_a_newer_format_is_refused_by_its_number_whatever_else_it_holds(version):
    header = json.dumps({"format": version, "something": "new"})
    problem = f"this is format {version}, but only formats up to {FORMAT} are known here"
    with pytest.raises(BadFileError, match=f"^a.seal: format: {problem}"):
        parse_header(envelope(header), name="a.seal")


def test_a_format_that_never_was_is_refused():
    with pytest.raises(BadFileError, match=r"format: 1.0 or 1.1 or 1.2 was wanted, but 0.9 came"):
        parse_header(envelope(changed("format", "0.9")), name="a.seal")


def test_a_header_of_format_1_0_says_nothing_of_power_and_must_not():
    assert parse_header(envelope(json.dumps(GOOD)), name="a.seal").limits == ()
    with pytest.raises(BadFileError, match=r"^a\.seal: power: unknown key"):
        parse_header(envelope(json.dumps({**GOOD, "power": POWER["power"]})), name="a.seal")


def test_a_header_of_format_1_1_says_all_of_its_power():
    header = parse_header(envelope(json.dumps(POWER)), name="a.seal")
    assert json.loads(header.model_dump_json()) == POWER
    assert [limit.model_dump() for limit in header.limits] == POWER["power"]


@pytest.mark.parametrize(
    ("power", "problem"),
    [
        (..., "power: is missing"),
        ([], "power: expected at least 1 item"),
        ({}, "power: expected a valid array"),
        ([1], r"power\[0\]: expected an object"),
        ([POWER["power"][0], {}], r"power\[1\]\.family: is missing"),
        ([{**POWER["power"][0], "level": "small"}], r"power\[0\]\.level: .* a valid number"),
        ([{**POWER["power"][0], "level": float("inf")}], r"power\[0\]\.level: .* finite number"),
        ([{**POWER["power"][0], "unit": 3}], r"power\[0\]\.unit: .* a valid string"),
        ([{**POWER["power"][0], "draws": 20.0}], r"power\[0\]\.draws: .* a valid integer"),
        ([{**POWER["power"][0], "noticed": True}], r"power\[0\]\.noticed: .* a valid integer"),
        ([{**POWER["power"][0], "fixed": 1}], r"power\[0\]\.fixed: .* a valid boolean"),
        ([{**POWER["power"][0], "share": 1.0}], r"power\[0\]\.share: unknown key"),
    ],
)
def test_a_wrong_part_of_the_power_is_named_with_its_path(power, problem):
    header = {**POWER, "power": power}
    if power is ...:
        del header["power"]
    with pytest.raises(BadFileError, match=rf"^a\.seal: {problem}"):
        parse_header(envelope(json.dumps(header)), name="a.seal")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "expected JSON"),
        (b"[]", "expected an object"),
        (b"{}", "__metadata__: is missing"),
        (b'{"__metadata__":{}}', "__metadata__.modelseal: is missing"),
        (b'{"__metadata__":{"modelseal":{}}}', "__metadata__.modelseal: expected a valid"),
        (b'{"__metadata__":{"modelseal":"{}","x":""}}', "__metadata__.x: unknown key"),
        (b'{"__metadata__":{"modelseal":"{"}}', "expected JSON"),
        (b'{"__metadata__":{"modelseal":"\xff"}}', "expected JSON"),
        (b'{"__metadata__":{"modelseal":"\\ud800"}}', "expected JSON"),
        (b"[" * 100_000, "expected JSON: recursion limit"),
        (envelope("[" * 100_000), "expected JSON: recursion limit"),
        (
            envelope('{"format":"1.0","spec":' + "[" * 1000 + "]" * 1000 + "}"),
            "expected JSON: recursion",
        ),
        (envelope("1"), "expected an object"),
    ],
    ids=range(13),
)
def test_json_that_holds_no_header_is_one_sentence(text, problem):
    with pytest.raises(BadFileError, match=f"^a.seal: {problem}") as caught:
        parse_header(text, name="a.seal")
    assert "\n" not in str(caught.value)


def test_a_header_of_format_1_2_says_all_of_its_enrolment():
    made = sealed.fingerprint(enrollment=sealed.enrolment(), neighbours=sealed.NEIGHBOURS[:3])
    good = {**describe(made), "digest": "sha256:0"}
    header = parse_header(envelope(json.dumps(good)), name="a.seal")
    assert json.loads(header.model_dump_json()) == good
    assert header.limits == ()
