import numpy as np
import pytest
from evaluated import samples, subject

from modelseal.evaluation.results import SHOWN, arrays_file, dump_arrays, list_exhibits


@pytest.fixture
def put(tmp_path):
    """Writes the samples of a subject, and gives its set."""

    def build(method, codes, sources, network="resnet20"):
        whose = subject(method, network)
        file = tmp_path / arrays_file(whose)
        file.parent.mkdir(exist_ok=True)
        scores = np.zeros((len(codes), 2), np.float32)
        arrays = {"samples": codes, "scores": scores, "sources": np.array(sources, np.int64)}
        file.write_bytes(dump_arrays(arrays))
        return samples(method, size=len(codes), subject=whose)

    return build


def images(*greys, shape=(3, 4, 4)):
    return np.stack([np.full(shape, grey, np.uint8) for grey in greys])


def test_samples_stand_beside_the_natural_images_that_they_were_made_of(tmp_path, put):
    sets = [
        put("boundary", images(11, 31, 21), [1, 3, 2]),
        put("natural", images(20, 10), [2, 1]),
        put("misclassified", images(70), [7]),
    ]
    shown = list_exhibits(tmp_path, sets)["resnet20", "top1"]
    found = [
        (int(each.sample[0, 0, 0]), each.natural is not None and int(each.natural[0, 0, 0]))
        for each in shown["boundary"]
    ]
    assert found == [(11, 10), (21, 20), (31, False)]
    assert shown["boundary"][0].sample.shape == (4, 4, 3)
    assert [int(each.natural[0, 0, 0]) for each in shown["misclassified"]] == [70]


def test_only_a_few_are_shown_and_images_of_another_network_are_no_sources(tmp_path, put):
    sets = [
        put("boundary", images(*range(9)), range(9)),
        put("natural", images(*range(9)), range(9), network="digits"),
    ]
    shown = list_exhibits(tmp_path, sets)["resnet20", "top1"]["boundary"]
    assert len(shown) == SHOWN
    assert all(each.natural is None for each in shown)


@pytest.mark.parametrize("shape", [(1, 4, 5), (4, 5)])
def test_grey_images_have_no_channels(tmp_path, put, shape):
    shown = list_exhibits(tmp_path, [put("natural", images(9, shape=shape), [0])])
    assert shown["resnet20", "top1"]["natural"][0].sample.shape == (4, 5)


@pytest.mark.parametrize(
    "codes",
    [images(1).astype(np.float32), images(1, shape=(4,)), images(1, shape=(2, 4, 4))],
    ids=["float", "no image", "two channels"],
)
def test_what_is_no_8_bit_image_is_not_shown(tmp_path, put, codes):
    assert list_exhibits(tmp_path, [put("natural", codes, [0])]) == {}
