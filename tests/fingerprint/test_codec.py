import hashlib
import itertools
import json
import os
import pickle
import struct
from math import inf, nan
from pathlib import Path

import numpy as np
import pytest
import sealed
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refuses
from safetensors.numpy import save

from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.fingerprint import file_format
from modelseal.fingerprint.file_format import (
    canonical,
    content_digest,
    decode,
    describe,
    encode,
    load,
    pack,
    weights_digest,
)
from modelseal.fingerprint.fingerprint import Fingerprint
from modelseal.outputs.specs import TopLabels

GOOD = encode(sealed.fingerprint())
GOLDEN = Path(__file__).parents[1] / "golden"


ADDITIONS = {
    "power": sealed.LIMITS,
    "neighbours": sealed.NEIGHBOURS,
    "enrollment": sealed.enrolment(
        differing=(0, 2, 1, 0), otherwise=(False, True, False, False), endpoint="front façade"
    ),
}
"""All that a fingerprint of four samples may have beyond format 1.0."""


def resealed(*, header=lambda parts: None, tensors=lambda parts: None, **changes):
    """A file whose digest fits what it holds, after its parts were changed in place."""
    made = sealed.fingerprint(**changes)
    text, arrays = json.loads(canonical(describe(made))), pack(made)
    header(text)
    tensors(arrays)
    # As a foreign program might write it: NaN and Infinity too.
    digest = content_digest(json.dumps(text, sort_keys=True).encode(), arrays)
    if text == json.loads(canonical(describe(made))):
        digest = content_digest(canonical(text).encode(), arrays)
    return save(
        arrays,
        {"modelseal": json.dumps({"digest": digest} | text, sort_keys=True, separators=(",", ":"))},
    )


def assert_equal(first, second):
    for name in set(Fingerprint.__slots__) - {"file", "signer"}:
        one, other = getattr(first, name), getattr(second, name)
        if one is None or other is None:
            assert one is other
        elif name == "expected":
            assert one.kind is other.kind
            for part in ("labels", "values"):
                np.testing.assert_array_equal(getattr(one, part), getattr(other, part))
        elif isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other)
        else:
            assert one == other


@given(sealed.parts())
def test_every_fingerprint_is_read_back_from_its_bytes_which_stay_the_same(parts):
    made = sealed.assemble(parts)
    data = encode(made)
    again = decode(data, name="a.seal")
    assert_equal(made, again)
    assert encode(again) == data
    assert made.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_a_file_is_read_back_as_it_was_written_and_remembers_its_name(tmp_path):
    path = tmp_path / "a.seal"
    sealed.fingerprint().save(path)
    assert path.read_bytes() == GOOD
    found = load(path)
    assert_equal(found, sealed.fingerprint())
    assert (found.file, found.signer) == (str(path), None)


def test_the_order_of_mappings_the_layout_of_arrays_and_the_width_of_numbers_change_no_byte():
    usual = sealed.fingerprint()
    origin = sealed.origin(
        parameters=dict(reversed(usual.origin.parameters.items())),
        packages=dict(reversed(usual.origin.packages.items())),
    )
    turned = sealed.fingerprint(
        origin=origin,
        samples=np.asfortranarray(usual.samples),
        sources=usual.sources.astype(np.int16),
    )
    assert encode(turned) == GOOD


@pytest.mark.parametrize(
    ("version", "additions", "digest"),
    [
        ("1.0", {}, "28f9a4a65a4aedda37674150d99558f6de2cf7861715d2227588bb5fc504ff0e"),
        (
            "1.1",
            {"power": sealed.LIMITS},
            "502b31eb66aed52349274391f319a8330ddec757cb2d18fb74f1e7c066c9fff0",
        ),
        ("1.2", ADDITIONS, "ac8a2494296df415b7c3ca837d00a4877ef761ffa575256abb0090bf9021b996"),
    ],
)
def test_every_released_format_is_read_for_ever_and_written_as_it_is(version, additions, digest):
    made = sealed.fingerprint(
        names=("avion", "façade", "猫", "dog", "🚢"), spec=sealed.SPECS[2], count=4, **additions
    )
    data = (GOLDEN / f"format-{version}.seal").read_bytes()
    assert hashlib.sha256(data).hexdigest() == digest
    assert f'"format\\":\\"{version}\\"'.encode() in data
    assert_equal(load(GOLDEN / f"format-{version}.seal"), made)
    assert encode(made) == data


@settings(max_examples=300)
@given(place=st.integers(0, len(GOOD) - 1), byte=st.integers(1, 255))
def test_no_changed_byte_goes_unnoticed(place, byte):
    data = bytearray(GOOD)
    data[place] ^= byte
    with refuses(BadFileError, file="a.seal"):
        decode(bytes(data), name="a.seal")


@given(st.integers(0, len(GOOD) - 1), st.integers(0, len(GOOD)), st.binary(max_size=16))
def test_nothing_cut_out_or_put_in_goes_unnoticed(start, stop, inserted):
    data = GOOD[:start] + inserted + GOOD[max(start, stop) :]
    if data != GOOD:
        with refuses(BadFileError, file="a.seal"):
            decode(data, name="a.seal")


def raw(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


LENGTH = int.from_bytes(GOOD[:8], "little")
HEADER = json.loads(GOOD[8 : 8 + LENGTH])
BODY = GOOD[8 + LENGTH :]


def with_tensor(name, **changes):
    return raw({**HEADER, name: {**HEADER[name], **changes}}, BODY)


def with_text(text):
    """A file whose header is this text."""
    return raw({**HEADER, "__metadata__": {"modelseal": text}}, BODY)


METADATA = "__metadata__"
HOSTILE = {
    "empty": b"",
    "pickle": pickle.dumps({"samples": [1, 2, 3] * 9}),
    "huge header length": b"\xff" * 8 + GOOD[8:],
    "header longer than allowed": raw(b" " * (2**20 + 1)),
    "header of another kind": raw([]),
    "deep nesting": raw(b"[" * 2**20),
    "nesting inside": with_text("[" * 100_000),
    "nesting in a field": with_text('{"format":"1.0","spec":' + "[" * 1000 + "]" * 1000 + "}"),
    "no object": with_text("1"),
    "no whole object": with_text("{"),
    "bytes that are no text": raw(b'{"__metadata__":{"modelseal":"\xff\xfe"}}'),
    "half a character": raw(b'{"__metadata__":{"modelseal":"\\ud800"}}'),
    "offsets that overlap": with_tensor("moves", data_offsets=[0, 24]),
    "offsets beyond the end": with_tensor("samples", data_offsets=[120, 10**9]),
    "offsets that overflow": with_tensor("moves", data_offsets=[2**63, 2**64]),
    "a shape that overflows": with_tensor("moves", shape=[2**62, 2**62]),
    "a type that is not known": with_tensor("moves", dtype="Q7"),
    "a type that no fingerprint has": with_tensor("moves", dtype="BF16", shape=[12]),
    "trailing bytes": GOOD + b"\0",
    "a key twice": raw(
        GOOD[8 : 8 + LENGTH].rstrip()[:-1] + b',"__metadata__":{"modelseal":""}}', BODY
    ),
    "spaces in the header": raw(GOOD[8 : 8 + LENGTH] + b" " * 8, BODY),
    "another order of keys": raw(dict(reversed(HEADER.items())), BODY),
    "lone surrogate": resealed(header=lambda h: h["origin"].update(method="\ud800")),
    "spec in another form": resealed(header=lambda h: h.update(spec="topk:1")),
    "whole number for a float": resealed(header=lambda h: h.update(factor=10)),
    "no levels": resealed(header=lambda h: h["domain"].pop("levels")),
    "format 1.2 without need": resealed(
        header=lambda h: h.update(format="1.2", power=[], neighbours=0, enrolment=None)
    ),
    "a whole number for a level": resealed(
        power=sealed.LIMITS, header=lambda h: h["power"][1].update(level=1, unit="x")
    ),
}
"""Files that are wrong as a whole."""


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_file_is_refused_in_one_sentence(data, tmp_path):
    path = tmp_path / "a.seal"
    path.write_bytes(data)
    with refuses(BadFileError, file=path, field=""):
        load(path)


def placed(path, value):
    """A change of a header: a value at a path, or nothing there if the value is `...`."""

    def change(header):
        *folders, last = [int(key) if key.isdigit() else key for key in path.split(".")]
        place = header
        for folder in folders:
            place = place[folder]
        if value is ...:
            del place[last]
        else:
            place[last] = value

    return change


PLAIN = [
    ("format", "1"),
    ("format", 1.0),
    ("format", ...),
    *(("format", version) for version in ("0.9", "2.0", "1.3", "1.10", "10.0")),
    ("digest", 5),
    ("extra", 1),
    *(("spec", spec) for spec in (5, "top2", "topk:10000")),
    *(("classes", wrong) for wrong in ("5", 5.0, True, None, 2**50)),
    ("names", "abcde"),
    ("names", ["a"]),
    ("names", ["a", "b", 3], "names[2]"),
    *(("factor", wrong) for wrong in (nan, inf, "10", 0.5)),
    ("domain.shape", [2, "3"], "domain.shape[1]"),
    ("domain.shape", [0, 3]),
    ("domain.bounds", [0.0], "domain.bounds[1]"),
    ("domain.bounds", [0.0, 1.0, 2.0]),
    ("domain.bounds", [1.0, 0.0]),
    ("domain.levels", 1),
    ("domain.mean", 0.5),
    ("domain.shape", [6], "samples"),
    ("origin", []),
    ("origin.seed", "7"),
    ("origin.packages.numpy", 2),
    *(("origin.parameters.tie", wrong) for wrong in (True, None, [1], nan)),
    ("origin.variants", {}),
    ("origin.created", "now"),
    # What the format does not have, or lacks.
    ("power", []),
    ("format", "1.1", "power"),
]
POWER = [
    *(("format", "1.0", "power"), ("power", ...), ("power", []), ("power", {})),
    *(("power", [1], "power[0]"), ("power", [{}], "power[0].family")),
    ("power.1.family", "pruning", "power[2].family"),
    ("power.1.family", ""),
    *(("power.0.level", wrong) for wrong in ("small", inf, None)),
    *(("power.1.level", 0.5), ("power.0.unit", 3), ("power.1.unit", "x", "power[1].level")),
    *(("power.1.draws", wrong) for wrong in (20.0, 10_001)),
    *(("power.1.noticed", wrong) for wrong in (True, 21)),
    *(("power.1.fixed", 1), ("power.1.fixed", True, "power[1].draws")),
    ("power.1.share", 1.0),
]
ENROLLED = [
    *(("enrolment.differing.1", 15), ("enrolment.repeats", 0), ("enrolment.repeats", 10**7)),
    *(("enrolment.asked", 2), ("enrolment.alpha", 1.0)),
    ("enrolment.otherwise", [0, 0, 0], "enrolment.otherwise[0]"),
    *(("enrolment.otherwise", [False]), ("enrolment.endpoint", "")),
    *(("enrolment.created", "now"), ("enrolment.more", "x")),
    ("enrolment", {"differing": []}, "enrolment.endpoint"),
    *(("neighbours", -1), ("neighbours", 2, "neighbours")),
]


@pytest.mark.parametrize(
    ("case", "changes"),
    [
        *((case, {}) for case in PLAIN),
        *((case, {"power": sealed.LIMITS}) for case in POWER),
        *((case, {"enrollment": sealed.enrolment()}) for case in ENROLLED),
    ],
    ids=str,
)
def test_a_wrong_field_is_named_with_its_path(case, changes):
    path, value, *named = case
    parts = path.split(".")
    shown = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in parts)[1:]
    with refuses(BadFileError, file="a.seal", field=named[0] if named else shown):
        decode(resealed(header=placed(path, value), **changes), name="a.seal")


def test_a_newer_format_is_refused_by_its_number_whatever_else_it_holds():
    with refuses(BadFileError, field="format") as caught:
        decode(with_text('{"format": "2.0", "something": "new"}'), name="a.seal")
    caught.match("2.0: a newer modelseal reads it")


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ({}, METADATA),
        ({METADATA: {}}, f"{METADATA}.modelseal"),
        ({METADATA: {"modelseal": {}}}, f"{METADATA}.modelseal"),
        ({METADATA: {"modelseal": "{}", "x": ""}}, f"{METADATA}.x"),
    ],
)
def test_metadata_hold_the_header_and_nothing_else(header, field):
    with refuses(BadFileError, field=field):
        decode(raw(header), name="a.seal")


def beside(change):
    """The changes of a fingerprint with neighbours, and of their tensor in place."""
    return {"neighbours": sealed.NEIGHBOURS[:3].copy(), "tensors": change}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"tensors": lambda t: t.pop("moves")}, "moves"),
        ({"tensors": lambda t: t.pop("samples")}, "samples"),
        ({"tensors": lambda t: t.pop("expected_labels")}, "expected_labels"),
        ({"tensors": lambda t: t.update(code=np.zeros(1, np.uint8))}, "code"),
        ({"tensors": lambda t: t.update(expected_values=t["moves"][:, None])}, "expected_values"),
        ({"tensors": lambda t: t.update(samples=t["samples"].astype(np.float32))}, "samples"),
        ({"tensors": lambda t: t.update(samples=t["samples"][:2].copy())}, "samples"),
        ({"tensors": lambda t: t.update(moves=t["moves"][:2].copy())}, "moves"),
        ({"tensors": lambda t: t.update(moves=t["moves"].astype(np.float32))}, "moves"),
        ({"tensors": lambda t: t.update(margins=np.ones(()))}, "margins"),
        ({"tensors": lambda t: t.update(sources=t["sources"].astype(np.float64))}, "sources"),
        (
            {"tensors": lambda t: t.update(expected_labels=t["expected_labels"].ravel())},
            "expected_labels",
        ),
        ({"tensors": lambda t: t["margins"].__setitem__(1, nan)}, "margins[1]"),
        (
            {"tensors": lambda t: t["expected_labels"].__setitem__((2, 0), 5)},
            "expected.labels[2][0]",
        ),
        ({"tensors": lambda t: t.update({k: v[:0].copy() for k, v in t.items()})}, "samples"),
        (beside(lambda t: t.pop("neighbours")), "neighbours"),
        ({"tensors": lambda t: t.update(neighbours=np.zeros((3, 2), np.int64))}, "neighbours"),
        *(
            (beside(lambda t, n=n: t["neighbours"].__setitem__((2, 1), n)), "neighbours[2][1]")
            for n in (2**62, -(2**63))
        ),
        (beside(lambda t: t["neighbours"].__setitem__((0, 0), -1)), "neighbours[0][0]"),
        (
            {
                "enrollment": sealed.enrolment(),
                "header": lambda h: h["enrolment"].update(differing=[0, 0], otherwise=[False] * 2),
            },
            "enrolment.differing",
        ),
    ],
)
def test_tensors_that_are_missing_wrong_or_too_many_are_refused(changes, field):
    with refuses(BadFileError, field=field):
        decode(resealed(**changes), name="a.seal")


def test_the_good_parts_that_hostile_files_are_made_of_are_good():
    assert resealed() == GOOD
    for changes in ({"power": sealed.LIMITS}, {"enrollment": sealed.enrolment()}):
        assert resealed(**changes) == encode(sealed.fingerprint(**changes))
    assert encode(decode(raw(GOOD[8 : 8 + LENGTH], BODY), name="a.seal")) == GOOD


def test_a_pickle_is_never_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    path = tmp_path / "a.seal"
    path.write_bytes(pickle.dumps(Bomb()))
    with refuses(BadFileError, file=path):
        load(path)
    assert not (tmp_path / "ran").exists()


def test_a_file_of_too_many_bytes_is_refused_unread(tmp_path, monkeypatch):
    path = tmp_path / "a.seal"
    with path.open("wb") as file:
        file.truncate(2**31 + 1)  # a hole: it takes no room on the disk
    with refuses(BadFileError, file=path):
        load(path)
    monkeypatch.setattr(file_format, "MAX_BYTES", 100)
    with refuses(BadFileError, file="a.seal"):
        decode(GOOD, name="a.seal")


@pytest.mark.parametrize("limit", ["MAX_BYTES", "MAX_HEADER_BYTES"])
def test_what_could_not_be_read_again_is_never_written(monkeypatch, tmp_path, limit):
    monkeypatch.setattr(file_format, limit, 100)
    with refuses(InvalidArgumentError):
        sealed.fingerprint().save(tmp_path / "a.seal")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_a_pipe_and_nothing_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("", "pipe", "missing", "a\0b"):
        with refuses(BadFileError, file=tmp_path / name):
            load(tmp_path / name)


class Odd(TopLabels):
    def __str__(self):
        return "odd"


def test_a_spec_without_a_text_form_cannot_be_written():
    with refuses(InvalidArgumentError):
        encode(sealed.fingerprint(spec=Odd()))


COLUMNS = {"margins": np.float64, "moves": np.float64, "psnr": np.float64, "sources": np.int64}
SHOWN = {"expected_labels": np.int64, "expected_values": np.float64}


@pytest.mark.parametrize("spec", sealed.SPECS, ids=str)
@pytest.mark.parametrize("domain", sealed.DOMAINS, ids=str)
def test_a_fingerprint_becomes_exactly_the_tensors_of_its_spec(domain, spec):
    made = sealed.fingerprint(domain=domain, spec=spec)
    names = [n for n in SHOWN if getattr(made.expected, n.removeprefix("expected_")) is not None]
    wanted = {"samples": np.uint8 if domain.levels else np.float32, **COLUMNS}
    assert {name: array.dtype.type for name, array in pack(made).items()} == wanted | {
        name: SHOWN[name] for name in names
    }


WEIGHTS = {
    "layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "layer.bias": np.array([0.5, -0.5], np.float32),
    "steps": np.array(7, np.int64),
}


def slow_digest(arrays):
    text = b""
    for name, array in sorted(arrays.items()):
        kind = {"float32": b"<f4", "int64": b"<i8", "uint8": b"|u1"}[array.dtype.name]
        letter = {"float32": "f", "int64": "q", "uint8": "B"}[array.dtype.name]
        values = b"".join(struct.pack("<" + letter, value) for value in array.flatten().tolist())
        for part in (name.encode(), kind, ",".join(map(str, array.shape)).encode(), values):
            text += struct.pack("<Q", len(part)) + part
    return "sha256:" + hashlib.sha256(text).hexdigest()


def test_the_digest_is_that_of_the_framed_bytes_whatever_the_order_and_the_layout():
    turned = {
        name: array.astype(array.dtype.newbyteorder(">"), order="F")
        for name, array in reversed(WEIGHTS.items())
    }
    assert weights_digest(WEIGHTS) == weights_digest(turned) == slow_digest(WEIGHTS)
    parts = {"": np.frombuffer(b"{}", np.uint8), **WEIGHTS}
    assert content_digest(b"{}", WEIGHTS) == slow_digest(parts)
    assert content_digest(b"{ }", WEIGHTS) != content_digest(b"{}", WEIGHTS)


def test_names_types_shapes_values_and_borders_all_make_a_difference():
    one, two = np.zeros(1, np.float32), np.zeros(2, np.float32)
    different = [
        *({}, {"a": one}, {"b": one}, {"ab": one}, {"a": one, "b": one}),
        *({"a": one.view(np.int32)}, {"a": one.reshape(1, 1)}, {"a": one.reshape(())}),
        *({"a": -one}, {"a": two}, {"a": one[:0], "b": two}, {"a": two, "b": one[:0]}),
    ]
    for first, second in itertools.combinations(map(weights_digest, different), 2):
        assert first != second


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([None]), np.array([b"a"])])
def test_what_is_no_array_of_numbers_has_no_digest(array):
    with refuses(InvalidArgumentError, field="w"):
        weights_digest({"w": array})
