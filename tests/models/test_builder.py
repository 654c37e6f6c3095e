import copy
import logging
import sys
import zipfile

import pytest
import torch
from refusals import refuses
from torch import nn

from modelseal.errors import InvalidArgumentError
from modelseal.models.builder import Program, build_network, read_program

FACTORY = "from torch import nn\ndef make(width=2):\n    return nn.Linear(3, width)\n"


@pytest.fixture(autouse=True)
def _clean_modules():
    """Leaves no module of a temporary folder behind."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("owners_"):
            del sys.modules[name]


def written(folder, text=FACTORY, name="owners_net.py"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_a_factory_beside_the_file_gets_its_arguments(tmp_path):
    network = build_network("owners_net:make", {"width": 5}, folder=written(tmp_path))
    assert network.out_features == 5


def test_a_factory_is_found_where_python_looks(tmp_path, monkeypatch):
    elsewhere = written(tmp_path / "elsewhere")
    (tmp_path / "here").mkdir()
    with refuses(InvalidArgumentError, match="owners_net"):
        build_network("owners_net:make", {}, folder=tmp_path / "here")
    monkeypatch.syspath_prepend(elsewhere)
    assert build_network("owners_net:make", {}, folder=tmp_path / "here").out_features == 2


def test_a_factory_that_imports_when_called_finds_its_neighbours(tmp_path):
    text = "def make():\n    import owners_part\n    return owners_part.make()\n"
    written(written(tmp_path, text), name="owners_part.py")
    assert build_network("owners_net:make", {}, folder=tmp_path).out_features == 2


def test_two_model_files_may_have_modules_of_the_same_name(tmp_path):
    for width in (4, 7):
        folder = written(tmp_path / str(width), "from owners_part import make\n")
        text = FACTORY.replace("width=2", f"width={width}")
        written(folder, text, name="owners_part.py")
        written(folder / "owners_pack", text, name="__init__.py")
    for width in (4, 7, 4):
        folder = tmp_path / str(width)
        assert build_network("owners_net:make", {}, folder=folder).out_features == width
        assert build_network("owners_pack:make", {}, folder=folder).out_features == width


def test_a_folder_beside_the_file_never_pushes_out_an_installed_package(tmp_path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "sys").mkdir()
    build_network("owners_net:make", {}, folder=written(tmp_path))
    assert sys.modules["torch"] is torch
    assert sys.modules["sys"] is sys


@pytest.mark.parametrize(
    ("factory", "text", "said"),
    [
        *((name, FACTORY, "callable, got") for name in ("owners_net", "owners_net:", ":make", "")),
        *(("owners_net:make", text, "callable make") for text in ("", "make = 3\n")),
        *(
            ("owners_net:make", text, r"owners_net cannot .*: [A-Z]\w+(Error|Exit)")
            for text in (
                *("import owners_nothing\n", "def make(:\n", "1 / 0\n"),
                *("raise SystemExit(0)\n", "raise EOFError()\n"),
            )
        ),
        ("owners_net:make", "def make():\n    raise ValueError('a\\nb')\n", "ValueError: a$"),
        ("owners_net:make", "def make():\n    raise SystemExit(0)\n", "SystemExit: 0$"),
        ("owners_net:make", "def make(depth):\n    pass\n", "TypeError: .*depth"),
        ("owners_net:make", "def make():\n    return {}\n", "got dict"),
    ],
)
def test_what_builds_no_network_is_refused_and_the_search_path_is_as_before(
    tmp_path, factory, text, said
):
    before = sys.path.copy()
    with refuses(InvalidArgumentError, match=said):
        build_network(factory, {}, folder=written(tmp_path, text))
    assert sys.path == before


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A program for batches of any size, and the network it was made of."""
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).eval()
    batch = torch.export.Dim("batch")
    program = torch.export.export(network, (torch.rand(3, 3),), dynamic_shapes=({0: batch},))
    file = tmp_path_factory.mktemp("program") / "p.pt2"
    torch.export.save(program, file)
    return file, network


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_a_program_computes_what_was_exported(exported, batch):
    file, network = exported
    inputs = torch.rand(batch, 3, generator=torch.Generator().manual_seed(0))
    program = nn.Sequential(read_program(file)).eval()
    torch.testing.assert_close(program(inputs), network(inputs))
    assert not program[0].training


def test_a_copied_program_has_weights_of_its_own(exported):
    program = read_program(exported[0]).eval()
    before = program(torch.ones(1, 3))
    twin = copy.deepcopy(program)
    assert isinstance(twin, Program)
    assert twin.training is program.training
    with torch.no_grad():
        next(twin.parameters()).add_(1)
    assert torch.equal(program(torch.ones(1, 3)), before)
    assert not torch.equal(twin(torch.ones(1, 3)), before)


def test_a_file_that_is_no_program_is_refused_without_noise(tmp_path, caplog):
    with refuses(InvalidArgumentError):
        read_program(tmp_path / "p.pt2")
    (tmp_path / "p.pt2").write_bytes(b"junk")
    with refuses(InvalidArgumentError, match=r"p\.pt2"):
        read_program(tmp_path / "p.pt2")
    with zipfile.ZipFile(tmp_path / "p.pt2", "w") as archive:
        archive.writestr("a", "b")
    with caplog.at_level(logging.DEBUG), refuses(InvalidArgumentError):
        read_program(tmp_path / "p.pt2")
    assert not [record for record in caplog.records if record.name == "torch.export"]
