import pytest


@pytest.mark.parametrize("purpose", ["encryption", "signing"])
def test_the_private_key_is_for_its_owner_alone(folder, run, purpose):
    result = run("keygen", "-o", "k", "--for", purpose)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"k.pem: the private key, for {purpose}; k.pub.pem: the public one\n"
    assert (folder / "k.pem").stat().st_mode & 0o777 == 0o600
    assert (folder / "k.pub.pem").stat().st_mode & 0o777 == 0o644
    assert b"BEGIN PRIVATE KEY" in (folder / "k.pem").read_bytes()


def test_a_passphrase_in_the_environment_encrypts_the_private_key_and_is_not_told(folder, run):
    result = run("keygen", "-o", "k", env={"MODELSEAL_KEY_PASSPHRASE": "marker"})
    assert "marker" not in result.output
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in (folder / "k.pem").read_bytes()


@pytest.mark.parametrize("name", ["k.pem", "k.pub.pem"])
def test_a_key_is_never_replaced(folder, run, name):
    (folder / name).write_bytes(b"old")
    result = run("keygen", "-o", "k")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{name}: " in result.stderr
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [(name, b"old")]


def test_a_missing_folder_is_one_sentence(run, folder):
    result = run("keygen", "-o", "no/k")
    assert result.exit_code == 2
    assert "no folder no" in result.stderr


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_keys_need_a_name(run, folder, name):
    result = run("keygen", "-o", name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert list(folder.iterdir()) == []
