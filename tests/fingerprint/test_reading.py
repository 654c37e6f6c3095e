import pytest

from modelseal.errors import BadFileError
from modelseal.files import read_bytes


def test_a_file_of_as_many_bytes_as_are_allowed_is_read(tmp_path):
    (tmp_path / "a").write_bytes(bytes(10))
    assert read_bytes(tmp_path / "a", most=10) == bytes(10)


def test_one_byte_more_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(bytes(11))
    with pytest.raises(BadFileError, match=r"/a: at most 10 bytes were wanted, but it has 11$"):
        read_bytes(tmp_path / "a", most=10)


@pytest.mark.parametrize("name", ["missing", "folder", "a\0b"])
def test_what_is_no_file_is_one_sentence(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadFileError, match=r": (cannot be read|a file was wanted)"):
        read_bytes(tmp_path / name, most=10)
