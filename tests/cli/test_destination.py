import pytest
import sealed
from refusals import refuses

from modelseal.cli.fingerprint_files import choose_destination, read_fingerprint
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.fingerprint.codec import encode
from modelseal.fingerprint.encryption import make_keys
from modelseal.verification.ledger import open_ledger, read_ledger

MADE = sealed.fingerprint(count=4)


def choose(folder, **settings):
    settings = {"inputs": [], "encrypt_to": None, "passphrase_file": None, **settings}
    return choose_destination(folder / "out.seal", **settings)


@pytest.fixture
def key(folder):
    """Writes a pair of keys; gives the public one's file."""
    return make_keys(folder / "k")[1]


def test_a_plain_fingerprint_without_a_ledger_is_the_usual(folder):
    choose(folder).write(MADE)
    assert [path.name for path in folder.iterdir()] == ["out.seal"]
    assert (folder / "out.seal").read_bytes() == encode(MADE)


def test_a_key_encrypts_and_a_number_begins_a_ledger(folder, key):
    choose(folder, encrypt_to=key, per_check=2, samples=4).write(MADE)
    assert encode(MADE)[8:40] not in (folder / "out.seal").read_bytes()
    found = read_fingerprint(folder / "out.seal", key=folder / "k.pem")
    assert encode(found) == encode(MADE)
    assert read_ledger(folder / "out.seal.ledger").opening.per_check == 2


def test_the_key_is_not_replaced(folder, key):
    with pytest.raises(BadFileError, match="is read as well"):
        choose_destination(key, inputs=[], encrypt_to=key, passphrase_file=None)


def test_whatever_is_wrong_is_told_before_anything_is_written(folder, key):
    with refuses(BadFileError, file=folder / "no.pem"):
        choose(folder, encrypt_to=folder / "no.pem")
    with refuses(BadFileError, file=folder / "k.pem"):
        choose(folder, encrypt_to=folder / "k.pem")
    with pytest.raises(InvalidArgumentError, match="5 is more than 4"):
        choose(folder, per_check=5, samples=4)
    open_ledger(folder / "out.seal.ledger", MADE, per_check=2)
    with pytest.raises(BadFileError, match="it may be moved away"):
        choose(folder, per_check=2, samples=4)
    assert not (folder / "out.seal").exists()
