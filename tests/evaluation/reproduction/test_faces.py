import numpy as np
import pytest
from PIL import Image

from modelseal.domain import Domain
from modelseal.errors import BadFileError
from modelseal.research.vgg_face import read_faces, read_names

DOMAIN = Domain(shape=(3, 4, 4), bounds=(0.0, 255.0), levels=256)
NAMES = ("A.J._Buckley", "Ann", "Zoë_Ünal")


def draw(folder, *files):
    folder.mkdir(exist_ok=True)
    for number, file in enumerate(files):
        Image.fromarray(np.full((4, 4, 3), number, np.uint8)).save(folder / file)
    return folder


def test_the_name_of_a_file_tells_its_class(tmp_path):
    files = ("A.J._Buckley_12.png", "Ann7.png", "Ann_3_4.png", "Zoë_Ünal_001.png")
    faces = read_faces(draw(tmp_path / "f", *files), NAMES, DOMAIN)
    assert faces.files == files
    assert faces.labels.tolist() == [0, 1, 1, 2]
    assert [image.max() for image in faces.images] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("Ann.png", r"Ann.png: a name such as Person_Name_123.jpg was wanted"),
        ("Bob_1.png", r"Bob_1.png: a name of names.txt was wanted, but Bob is none"),
        ("1.png", r"1.png: a name of names.txt was wanted, but nobody is none"),
    ],
)
def test_an_image_of_nobody_is_refused(tmp_path, file, sentence):
    with pytest.raises(BadFileError, match=sentence):
        read_faces(draw(tmp_path / "f", "Ann_1.png", file), NAMES, DOMAIN)


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(BadFileError, match="PNG or JPEG"):
        read_faces(draw(tmp_path / "f"), NAMES, DOMAIN)
    with pytest.raises(BadFileError, match="a folder of images was wanted, but there is none"):
        read_faces(tmp_path / "no", NAMES, DOMAIN)


def test_names_stand_a_line_each_in_the_order_of_classes(tmp_path):
    (tmp_path / "n.txt").write_text("\r\n".join(NAMES) + "\r\n", encoding="utf-8")
    assert read_names(tmp_path / "n.txt", classes=3) == NAMES


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a\nb\n", r"3 names were wanted, .* there are 2 in 2 lines"),
        (b"a\n\nb\n", r"3 names were wanted, .* there are 2 in 3 lines"),
        (b"a\nb\nc\nd\n", r"3 names were wanted, .* there are 4 in 4 lines"),
        (b"a\nb\na\n", r"names that differ were wanted, but a comes twice"),
        (b"a\nb\n\xff\n", r"cannot be read: no text in UTF-8"),
        (None, r"cannot be read: No such file"),
    ],
)
def test_names_of_another_number_or_kind_are_refused(tmp_path, content, sentence):
    if content is not None:
        (tmp_path / "n.txt").write_bytes(content)
    with pytest.raises(BadFileError, match=sentence):
        read_names(tmp_path / "n.txt", classes=3)
