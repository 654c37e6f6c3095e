import hashlib
import json
import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import sealed
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.fingerprint import codec
from modelseal.fingerprint.codec import (
    canonical,
    content_digest,
    decode,
    describe,
    encode,
    pack,
    read,
    write,
)
from modelseal.fingerprint.record import Fingerprint
from modelseal.outputs.specs import OutputSpec, TopLabels

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
    digest = content_digest(canonical(text).encode(), arrays)
    return save(
        arrays,
        {"modelseal": json.dumps(text | {"digest": digest}, sort_keys=True, separators=(",", ":"))},
    )


def assert_equal(first, second):
    for name in Fingerprint.__slots__:
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


def test_a_file_is_read_back_as_it_was_written(tmp_path):
    path = tmp_path / "a.seal"
    write(sealed.fingerprint(), path)
    assert path.read_bytes() == GOOD
    assert_equal(read(path), sealed.fingerprint())


def test_the_order_of_mappings_and_the_layout_of_arrays_change_no_byte():
    usual = sealed.fingerprint()
    origin = sealed.origin(
        parameters=dict(reversed(usual.origin.parameters.items())),
        packages=dict(reversed(usual.origin.packages.items())),
    )
    turned = sealed.fingerprint(origin=origin, samples=np.asfortranarray(usual.samples))
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
    assert_equal(read(GOLDEN / f"format-{version}.seal"), made)
    assert encode(made) == data


@settings(max_examples=300)
@given(place=st.integers(0, len(GOOD) - 1), byte=st.integers(1, 255))
def test_no_changed_byte_goes_unnoticed(place, byte):
    data = bytearray(GOOD)
    data[place] ^= byte
    with pytest.raises(BadFileError, match=r"^a\.seal: "):
        decode(bytes(data), name="a.seal")


@given(st.integers(0, len(GOOD) - 1), st.integers(0, len(GOOD)), st.binary(max_size=16))
def test_nothing_cut_out_or_put_in_goes_unnoticed(start, stop, inserted):
    data = GOOD[:start] + inserted + GOOD[max(start, stop) :]
    if data != GOOD:
        with pytest.raises(BadFileError, match=r"^a\.seal: "):
            decode(data, name="a.seal")


@given(st.binary(max_size=200))
def test_random_bytes_are_no_fingerprint(data):
    with pytest.raises(BadFileError, match=r"^a\.seal: "):
        decode(data, name="a.seal")
    framed = len(data).to_bytes(8, "little") + data
    with pytest.raises(BadFileError, match=r"^a\.seal: "):
        decode(framed, name="a.seal")


def raw(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


LENGTH = int.from_bytes(GOOD[:8], "little")
HEADER = json.loads(GOOD[8 : 8 + LENGTH])
BODY = GOOD[8 + LENGTH :]


def with_tensor(name, **changes):
    return raw({**HEADER, name: {**HEADER[name], **changes}}, BODY)


HOSTILE = {
    "empty": (b"", "its 0 bytes are none"),
    "pickle": (pickle.dumps({"samples": [1, 2, 3] * 9}), "bytes are none"),
    "huge header length": (b"\xff" * 8 + GOOD[8:], "bytes are none"),
    "header longer than allowed": (raw(b" " * (2**20 + 1)), "a header of at most 1048576 bytes"),
    "header of another kind": (raw([]), "expected an object"),
    "deep nesting": (raw(b"[" * 2**20), "recursion limit"),
    "bytes that are no text": (raw(b'{"__metadata__":{"modelseal":"\xff\xfe"}}'), "expected JSON"),
    "no metadata": (raw({k: v for k, v in HEADER.items() if k[0] != "_"}, BODY), "is missing"),
    "offsets that overlap": (with_tensor("moves", data_offsets=[0, 24]), "safetensors"),
    "offsets beyond the end": (with_tensor("samples", data_offsets=[120, 10**9]), "safetensors"),
    "offsets that overflow": (with_tensor("moves", data_offsets=[2**63, 2**64]), "safetensors"),
    "a shape that overflows": (with_tensor("moves", shape=[2**62, 2**62]), "safetensors"),
    "a type that is not known": (with_tensor("moves", dtype="Q7"), "safetensors"),
    "trailing bytes": (GOOD + b"\0", "safetensors"),
    "a key twice": (
        raw(GOOD[8 : 8 + LENGTH].rstrip()[:-1] + b',"__metadata__":{"modelseal":""}}', BODY),
        "expected JSON",
    ),
    "spaces in the header": (raw(GOOD[8 : 8 + LENGTH] + b" " * 8, BODY), "do not fit its digest"),
    "another order of keys": (raw(dict(reversed(HEADER.items())), BODY), "do not fit its digest"),
    "future version": (resealed(header=lambda h: h.update(format="2.0")), "this is format 2.0"),
    "NaN margin": (
        resealed(tensors=lambda t: t["margins"].__setitem__(1, np.nan)),
        r"margins\[1\]: ",
    ),
    "no margin": (resealed(tensors=lambda t: t["margins"].__setitem__(0, 0)), r"margins\[0\]: "),
    "label too high": (
        resealed(tensors=lambda t: t["expected_labels"].__setitem__((2, 0), 5)),
        r"expected.labels\[2\]\[0\]: a label below 5 was wanted, but 5 came",
    ),
    "names of wrong length": (resealed(header=lambda h: h.update(names=["a"])), "names: one name"),
    "lone surrogate": (
        resealed(header=lambda h: h["origin"].update(method="\ud800")),
        "expected JSON",
    ),
    "absurd classes": (
        resealed(header=lambda h: h.update(classes=2**50)),
        "classes: a whole number",
    ),
    "absurd top-k": (resealed(header=lambda h: h.update(spec="topk:10000")), "spec: 10000 labels"),
    "no spec": (resealed(header=lambda h: h.update(spec="top2")), "spec: an output spec is"),
    "spec in another form": (resealed(header=lambda h: h.update(spec="topk:1")), "do not fit"),
    "whole number for a float": (resealed(header=lambda h: h.update(factor=10)), "do not fit"),
    "bad domain": (
        resealed(header=lambda h: h["domain"].update(levels=1)),
        "domain: levels needs 0 or 2 to 256, but is 1",
    ),
    "other domain": (
        resealed(header=lambda h: h["domain"].update(shape=[6])),
        "samples: type uint8",
    ),
    "bad origin": (
        resealed(header=lambda h: h["origin"].update(created="now")),
        "origin.created: a moment such as",
    ),
    "wrong type": (
        resealed(tensors=lambda t: t.update(moves=t["moves"].astype(np.float32))),
        "moves: type float64",
    ),
    "no samples": (
        resealed(tensors=lambda t: t.update({k: v[:0] for k, v in t.items()})),
        "samples: at least one sample",
    ),
    "one tensor too many": (
        resealed(tensors=lambda t: t.update(code=np.zeros(1, np.uint8))),
        "code: is not known",
    ),
}


def with_limit(**changes):
    """A file whose second limit was changed."""
    return resealed(power=sealed.LIMITS, header=lambda h: h["power"][1].update(changes))


HOSTILE |= {
    "a power in format 1.0": (
        resealed(power=sealed.LIMITS, header=lambda h: h.update(format="1.0")),
        "power: unknown key",
    ),
    "no power in format 1.1": (
        resealed(header=lambda h: h.update(format="1.1")),
        "power: is missing",
    ),
    "a family twice": (
        with_limit(family="pruning"),
        r"power\[2\].family: each family was wanted once, but 'pruning' came twice",
    ),
    "a family without a name": (with_limit(family=""), r"power\[1\].family: a text was wanted"),
    "a level without a unit": (with_limit(level=0.5), r"power\[1\].level: no number was wanted"),
    "a unit without a level": (with_limit(unit="x"), r"power\[1\].level: a number was wanted"),
    "more noticed than drawn": (
        with_limit(noticed=21),
        r"power\[1\].noticed: a whole number from 0 to 20 was wanted, but 21 came",
    ),
    "draws beyond the limit": (
        with_limit(draws=10_001),
        r"power\[1\].draws: a whole number from 1 to 10000 was wanted",
    ),
    "many draws of a change without chance": (
        with_limit(fixed=True),
        r"power\[1\].draws: a whole number from 1 to 1 was wanted, but 20 came",
    ),
    "a whole number for a level": (with_limit(level=1, unit="x"), "do not fit its digest"),
}


def enrolled(**changes):
    """A file of an enrolled fingerprint, with its enrolment changed."""
    return resealed(
        enrollment=sealed.enrolment(), header=lambda h: h["enrolment"].update(**changes)
    )


def beside(change):
    """A file of a fingerprint with neighbours, after these were changed in place."""
    return resealed(neighbours=sealed.NEIGHBOURS[:3].copy(), tensors=change)


HOSTILE |= {
    "an enrolment in format 1.1": (
        resealed(
            power=sealed.LIMITS,
            enrollment=sealed.enrolment(),
            header=lambda h: h.update(format="1.1") or h.pop("neighbours"),
        ),
        "enrolment: unknown key",
    ),
    "format 1.2 without need": (
        resealed(header=lambda h: h.update(format="1.2", power=[], neighbours=0, enrolment=None)),
        "do not fit its digest",
    ),
    "half of all answers differ": (
        enrolled(differing=[0, 15, 0]),
        r"enrolment.differing\[1\]: a whole number from 0 to 14 was wanted, but 15 came",
    ),
    "no question": (enrolled(repeats=0), "enrolment.repeats: a whole number from 1"),
    "questions without end": (enrolled(repeats=10**7), "enrolment.repeats: a whole number from 1"),
    "fewer asked than kept": (enrolled(asked=2), "enrolment.asked: a whole number from 3"),
    "enrolled samples that are not there": (
        enrolled(differing=[0, 0], otherwise=[False, False]),
        "enrolment.differing: 3 numbers were wanted, but 2 came",
    ),
    "a certain false alarm": (
        enrolled(alpha=1.0),
        "enrolment.alpha: a number above 0 and below 1 was wanted, but 1.0 came",
    ),
    "a number for a truth value": (enrolled(otherwise=[0, 0, 0]), r"enrolment.otherwise\[0\]: "),
    "truth values that are missing": (
        enrolled(otherwise=[False]),
        "enrolment.otherwise: 3 truth values were wanted, but 1 came",
    ),
    "an enrolment of nobody": (enrolled(endpoint=""), "enrolment.endpoint: a text was wanted"),
    "an enrolment of some time": (enrolled(created="now"), "enrolment.created: a moment such as"),
    "an unknown part of an enrolment": (enrolled(more="x"), "enrolment.more: unknown key"),
    "neighbours without their tensor": (
        beside(lambda t: t.pop("neighbours")),
        "neighbours: is mis",
    ),
    "a tensor of neighbours that are not told": (
        resealed(tensors=lambda t: t.update(neighbours=np.zeros((3, 2), np.int64))),
        "neighbours: is not known",
    ),
    "neighbours beyond the input": (
        beside(lambda t: t["neighbours"].__setitem__((2, 1), 2**62)),
        r"neighbours\[2\]\[1\]: 0 or a place from 1 to 6 with a sign was wanted",
    ),
    "the lowest number that there is": (
        beside(lambda t: t["neighbours"].__setitem__((2, 1), -(2**63))),
        r"neighbours\[2\]\[1\]: 0 or a place from 1 to 6 with a sign was wanted",
    ),
    "neighbours below the lowest level": (
        beside(lambda t: t["neighbours"].__setitem__((0, 0), -1)),
        r"neighbours\[0\]\[0\]: a step to a level that is there was wanted, but -1 came",
    ),
}


@pytest.mark.parametrize(("data", "problem"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_file_is_refused_in_one_sentence(data, problem, tmp_path):
    path = tmp_path / "a.seal"
    path.write_bytes(data)
    with pytest.raises(
        BadFileError, match=f"^{re.escape(str(tmp_path))}/a.seal: .*{problem}"
    ) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_the_good_parts_that_hostile_files_are_made_of_are_good():
    assert resealed() == GOOD
    assert resealed(power=sealed.LIMITS) == encode(sealed.fingerprint(power=sealed.LIMITS))
    assert resealed(enrollment=sealed.enrolment()) == encode(
        sealed.fingerprint(enrollment=sealed.enrolment())
    )
    rebuilt = raw(GOOD[8 : 8 + LENGTH], BODY)
    assert encode(decode(rebuilt, name="a.seal")) == GOOD


def test_a_pickle_is_never_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    path = tmp_path / "a.seal"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(BadFileError, match="a fingerprint was wanted"):
        read(path)
    assert not (tmp_path / "ran").exists()


def test_a_file_of_too_many_bytes_is_refused_unread(tmp_path):
    path = tmp_path / "a.seal"
    with path.open("wb") as file:
        file.truncate(2**31 + 1)  # a hole: it takes no room on the disk
    with pytest.raises(BadFileError, match="at most 2147483648 bytes were wanted"):
        read(path)


def test_bytes_beyond_the_limit_are_refused_before_they_are_parsed(monkeypatch):
    monkeypatch.setattr(codec, "MAX_BYTES", 100)
    with pytest.raises(
        BadFileError, match=f"at most 100 bytes were wanted, but it has {len(GOOD)}"
    ):
        decode(GOOD, name="a.seal")


@pytest.mark.parametrize("limit", ["MAX_BYTES", "MAX_HEADER_BYTES"])
def test_what_could_not_be_read_again_is_never_written(monkeypatch, tmp_path, limit):
    monkeypatch.setattr(codec, limit, 100)
    with pytest.raises(InvalidArgumentError, match="a fingerprint of at most"):
        write(sealed.fingerprint(), tmp_path / "a.seal")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_a_pipe_and_nothing_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, problem in (
        ("", "a file was wanted, but this is something else"),
        ("pipe", "a file was wanted, but this is something else"),
        ("missing", "cannot be read: No such file or directory"),
        ("a\0b", "cannot be read: embedded null byte"),
    ):
        with pytest.raises(BadFileError, match=problem):
            read(tmp_path / name)


class Odd(TopLabels):
    def __str__(self):
        return "odd"


def test_a_spec_without_a_text_form_cannot_be_written():
    made = sealed.fingerprint(spec=Odd())
    assert isinstance(made.spec, OutputSpec)
    with pytest.raises(InvalidArgumentError, match="an output spec is top1"):
        encode(made)
