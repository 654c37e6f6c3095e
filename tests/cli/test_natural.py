import numpy as np
import pytest
import sealed
from PIL import Image

from modelseal.cli.session import find_natural
from modelseal.domain import Domain
from modelseal.errors import BadFileError

DOMAIN = Domain(shape=(1, 4, 4))
NAMES = ("ant", "bee", "cat", "dog", "elk")
FINGERPRINT = sealed.fingerprint(domain=DOMAIN, names=NAMES)
IMAGES = np.arange(20 * 16, dtype=np.int64).reshape(20, 4, 4).astype(np.uint8)
LABELS = np.arange(20) % 5
ENDPOINT = '[endpoint]\nkind = "http"\nurl = "http://host/x"\n'


@pytest.fixture
def write(folder):
    """Writes images, labels and an endpoint.toml that speaks of them."""

    def put(check="", *, answer="", **arrays):
        np.savez(folder / "few.npz", **({"images": IMAGES, "labels": LABELS} | arrays))
        (folder / "endpoint.toml").write_text(f"{ENDPOINT}{answer}{check}", encoding="utf-8")
        return folder

    return put


def find(endpoint="endpoint.toml", check=None):
    return find_natural(endpoint, FINGERPRINT, check=check)


def test_images_and_labels_of_the_file_that_the_user_names_are_taken(write):
    found = find("http://host/invocations", write() / "few.npz")
    assert len(found.codes) == 16
    assert found.at_least == 0.5
    rows = np.linspace(0, 19, 16).round().astype(int)
    assert np.array_equal(found.codes[:, 0], IMAGES[rows])
    assert found.labels.tolist() == LABELS[rows].tolist()


@pytest.mark.parametrize(
    ("more", "labels"),
    [
        ("", [0, 4]),
        ("labels = [1, 2]", [1, 2]),
        ('labels = ["cat", "elk"]', [2, 4]),
        ('labels_file = "labels.txt"', [3, 0]),
    ],
)
def test_labels_are_numbers_or_names_from_where_the_file_says(write, more, labels):
    few = {"images": IMAGES[[0, 4]], "labels": LABELS[[0, 4]]}
    folder = write(f'[check]\nimages = "few.npz"\nat_least = 0.75\n{more}\n', **few)
    (folder / "labels.txt").write_text("dog\n0\n")
    found = find()
    assert (found.labels.tolist(), found.at_least) == (labels, 0.75)


def test_names_beside_the_images_are_those_that_the_server_uses_if_it_has_its_own(write):
    few = {"images": IMAGES[:2], "labels": np.array(["Hund", "Ameise"])}
    answer = '[answer]\nnames = ["Ameise", "Biene", "Katze", "Hund", "Elch"]\n'
    write('[check]\nimages = "few.npz"\n', answer=answer, **few)
    assert find().labels.tolist() == [3, 0]


def test_a_folder_of_images_is_read_in_order_of_its_names(write):
    folder = write('[check]\nimages = "few"\nlabels = [4, 0]\n')
    (folder / "few").mkdir()
    for name, image in zip(("b.png", "a.png"), IMAGES, strict=False):
        Image.fromarray(image).save(folder / "few" / name)
    found = find()
    assert np.array_equal(found.codes[:, 0], IMAGES[[1, 0]])
    assert found.labels.tolist() == [4, 0]


def test_a_file_of_the_user_goes_before_that_of_the_endpoint(write):
    folder = write('[check]\nimages = "missing.npz"\n')
    assert len(find(check=folder / "few.npz").codes) == 16


@pytest.mark.parametrize("endpoint", ["endpoint.toml", "model.toml", "x.onnx", "http://h/x"])
def test_nothing_is_asked_first_where_nobody_names_images(write, endpoint):
    write()
    assert find(endpoint) is None


@pytest.mark.parametrize(
    ("more", "arrays", "problem"),
    [
        ('images = "missing.npz"', {}, "missing.npz: cannot be read: No such file"),
        ('images = "few.npz"\nlabels = [1]', {}, "few.npz: 20 labels were wanted, .* not 1"),
        ('images = "few.npz"', {"labels": LABELS[:3]}, "20 labels were wanted, .* not 3"),
        ('images = "few.npz"', {"labels": LABELS / 2}, "labels of whole numbers or names was want"),
        ('images = "few.npz"', {"labels": LABELS[:, None]}, "labels of whole numbers or names"),
        ('images = "few.npz"', {"labels": np.array([None] * 20)}, "cannot be read as arrays"),
        ('images = "few.npz"', {"labels": LABELS + 1}, "labels: a label from 0 to 4 was wanted"),
        ('images = "few.npz"', {"labels": np.array(["x"] * 20)}, "the name of a class was wanted"),
        ('images = "few.npz"\nlabels_file = "no.txt"', {}, "no.txt: cannot be read"),
        ('images = "few.npz"\nlabels_file = "few.npz"', {}, "few.npz: is no text"),
        ('images = "."\n', {}, "needs PNG or JPEG files|labels are needed beside a folder"),
    ],
)
def test_images_or_labels_that_do_not_fit_are_a_bad_file(write, more, arrays, problem):
    write(f"[check]\n{more}\n", **arrays)
    with pytest.raises(BadFileError, match=problem):
        find()


def test_images_without_labels_are_a_bad_file(folder):
    np.savez(folder / "few.npz", images=IMAGES)
    with pytest.raises(BadFileError, match="an array named labels of whole numbers or names"):
        find("http://host/invocations", folder / "few.npz")
    (folder / "few").mkdir()
    Image.fromarray(IMAGES[0]).save(folder / "few" / "a.png")
    with pytest.raises(BadFileError, match="labels are needed beside a folder"):
        find("http://host/invocations", folder / "few")
