import numpy as np
import pytest
import safetensors.numpy
import sealed

from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.codec import expected_answers, load, pack
from modelseal.outputs.specs import TopLabels

COLUMNS = {"margins": np.float64, "moves": np.float64, "psnr": np.float64, "sources": np.int64}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (sealed.SPECS[0], {"expected_labels": np.int64}),
        (sealed.SPECS[1], {"expected_labels": np.int64}),
        (sealed.SPECS[2], {"expected_labels": np.int64, "expected_values": np.float64}),
        (sealed.SPECS[3], {"expected_values": np.float64}),
        (sealed.SPECS[4], {"expected_values": np.float64}),
    ],
    ids=str,
)
@pytest.mark.parametrize("domain", sealed.DOMAINS, ids=str)
def test_a_fingerprint_becomes_exactly_the_tensors_of_its_spec(domain, spec, expected):
    arrays = pack(sealed.fingerprint(domain=domain, spec=spec))
    samples = {"samples": np.uint8 if domain.levels else np.float32}
    assert {name: a.dtype.type for name, a in arrays.items()} == COLUMNS | samples | expected


def test_numbers_of_any_width_are_written_in_one():
    made = sealed.fingerprint(
        margins=np.array([1, 2, 3], np.float32), sources=np.array([1, 2, 3], np.int16)
    )
    arrays = pack(made)
    assert arrays["margins"].tolist() == [1, 2, 3]
    assert (arrays["margins"].dtype, arrays["sources"].dtype) == (np.float64, np.int64)


def test_loaded_tensors_are_those_that_were_saved_and_may_be_written_to():
    arrays = pack(sealed.fingerprint())
    loaded = load(safetensors.numpy.save(arrays))
    assert loaded.keys() == arrays.keys()
    for name, array in loaded.items():
        assert np.array_equal(array, arrays[name])
        assert array.flags.writeable


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda a: a.pop("moves"), "^moves: is missing"),
        (lambda a: a.pop("samples"), "^samples: is missing"),
        (lambda a: a.pop("expected_labels"), "^expected_labels: is missing"),
        (lambda a: a.update(extra=a["moves"]), "^extra: is not known"),
        (lambda a: a.update(expected_values=a["moves"][:, None]), "^expected_values: is not known"),
        (lambda a: a.update(samples=a["samples"].astype(np.float32)), "^samples: type uint8"),
        (lambda a: a.update(samples=a["samples"][:2]), r"^samples: .* shape \[3, 2, 3\] were"),
        (lambda a: a.update(moves=a["moves"][:2]), r"^moves: .* but float64 and \[2\] came"),
        (lambda a: a.update(margins=np.float64(1) * np.ones(())), "^samples: .* shape"),
        (lambda a: a.update(psnr=a["psnr"].astype(np.float32)), "^psnr: type float64"),
        (lambda a: a.update(sources=a["sources"].astype(np.float64)), "^sources: type int64"),
        (lambda a: a.update(expected_labels=a["expected_labels"][:, 0]), "^expected_labels: "),
    ],
    ids=range(12),
)
def test_other_tensors_than_those_of_the_spec_are_refused(change, problem):
    arrays = pack(sealed.fingerprint())
    change(arrays)
    with pytest.raises(InvalidArgumentError, match=problem):
        expected_answers(arrays, domain=sealed.DOMAINS[0], spec=TopLabels(), classes=5)


def test_a_type_that_no_fingerprint_has_is_refused():
    array = np.zeros(2, np.uint8)
    data = safetensors.numpy.save({"samples": array}).replace(
        b'"U8","shape":[2]', b'"BF16","shape":[1]'
    )
    length = int.from_bytes(data[:8], "little")
    shifted = (length + 2).to_bytes(8, "little") + data[8:]
    with pytest.raises(InvalidArgumentError, match="no fingerprint has tensors of type"):
        load(shifted)
