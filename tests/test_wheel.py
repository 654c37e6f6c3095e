"""The wheel, in environments of its own without the repository, does what README.md says."""

import json
import os
import subprocess

import pytest
import torch
from pages import ADDRESS, ROOT, blocks, fill, statements
from safetensors.torch import load_file, save_file
from server import serve

pytestmark = pytest.mark.wheel
README = ROOT / "README.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("elsewhere")
    fill(folder)
    return folder


@pytest.fixture(scope="module")
def url(folder):
    with serve(folder / "model.toml", folder=folder / "server", name="NAME") as address:
        yield address


@pytest.fixture
def do(folder):
    """Runs a command where one of the environments is the only one; gives its code and output."""

    def run(environment, *command):
        place = ROOT / ".wheel" / environment / "bin"
        ended = subprocess.run(
            command,
            cwd=folder,
            env={"PATH": f"{place}{os.pathsep}/usr/bin:/bin", "HOME": str(folder)},
            capture_output=True,
            text=True,
        )
        return ended.returncode, ended.stdout + ended.stderr

    return run


@pytest.mark.parametrize("environment", ["sealing", "verifying"])
def test_all_files_of_the_package_are_installed_and_nothing_of_the_repository_is(do, environment):
    code, output = do(environment, "python", "-c", "import modelseal; print(modelseal.__file__)")
    assert (code, output) == (0, output), output
    installed = (ROOT / ".wheel" / environment).glob("lib/python*/site-packages/modelseal")
    (found,) = installed
    assert output.strip() == str(found / "__init__.py")

    def files(place):
        all_files = (each for each in place.rglob("*") if each.is_file())
        return {str(each.relative_to(place)) for each in all_files if each.suffix != ".pyc"}

    assert files(found) == files(ROOT / "src" / "modelseal")
    assert "py.typed" in files(found)


def test_every_command_of_the_readme_does_what_it_says(do, url):
    done = set()
    for language, block in blocks(README, "sh", "python"):
        block = block.replace(ADDRESS, url)
        if language == "python":
            code, output = do("sealing", "python", "-c", block)
            assert code == 0, output
            continue
        for statement in statements(block):
            if statement.startswith("modelseal ") and statement not in done:
                done.add(statement)
                code, output = do("sealing", "bash", "-c", statement)
                assert code == 0, output
    assert {statement.split()[1] for statement in done} >= {"seal", "verify"}


def test_where_it_only_verifies_neither_torch_nor_the_network_is_needed(do, folder, url):
    assert do("verifying", "python", "-c", "import torch")[0] == 1
    reports = ("--json", "v.json", "--junit", "v.xml", "--sarif", "v.sarif")
    code, output = do("verifying", "modelseal", "verify", "out.seal", url, *reports)
    assert (code, output.split(":")[0]) == (0, "INTACT"), output
    assert json.loads((folder / "v.json").read_text())["outcome"] == "intact"


def test_a_page_of_the_verdict_finds_its_template(do, folder, url):
    code, output = do("sealing", "modelseal", "verify", "out.seal", url, "--html", "v.html")
    assert code == 0, output
    assert "<style>" in (folder / "v.html").read_text()


def test_a_network_that_was_changed_is_tampered_with(do, folder):
    weights = load_file(folder / "resnet20.safetensors")
    noise = torch.Generator().manual_seed(1)
    for name, tensor in weights.items():
        weights[name] = tensor + 0.01 * torch.randn(tensor.shape, generator=noise)
    save_file(weights, folder / "changed.safetensors")
    text = (folder / "model.toml").read_text().replace("resnet20.safe", "changed.safe")
    (folder / "changed.toml").write_text(text)
    code, output = do("sealing", "modelseal", "verify", "out.seal", "changed.toml")
    assert (code, output.split(":")[0]) == (1, "TAMPERED"), output
