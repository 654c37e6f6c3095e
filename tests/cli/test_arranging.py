import re
from math import inf
from pathlib import Path

import pytest
import sealed

from modelseal.cli.seal import arrange, check_enough, finish, hire_makers, resumable
from modelseal.domain import Domain
from modelseal.errors import BadFileError, SealingError
from modelseal.fingerprint.codec import load
from modelseal.models.loader import Model
from modelseal.parallel.workers import Processes, Sequential
from modelseal.sealing import memory
from modelseal.sealing.checkpoints import Logistics, perform_here
from modelseal.sealing.recipe import Recipe

TOML = Path("model.toml")


@pytest.fixture
def owned(tiny):
    return {"network": Model(network=tiny, domain=Domain(shape=(3, 8, 8))), "recipe": Recipe()}


def test_without_a_number_or_an_address_this_process_makes_all(owned):
    assert hire_makers(None, None, **owned) is None
    assert isinstance(hire_makers(1, None, **owned), Sequential)


@pytest.mark.parametrize(("rooms", "fitting"), [(1e9, 5), (3.5, 3), (0.2, 1)])
def test_no_more_processes_are_hired_than_fit_which_is_told(
    owned, monkeypatch, capsys, rooms, fitting
):
    need = memory.need_memory(owned["network"], owned["recipe"])
    monkeypatch.setattr(memory, "available_memory", lambda device: int(rooms * need))
    crew = hire_makers(5, None, **owned)
    assert crew == Processes(fitting) if fitting > 1 else isinstance(crew, Sequential)
    told = capsys.readouterr().err
    sentence = rf"modelseal: {fitting} of 5 processes are used, .* memory: .* about 0\.4 GB\n"
    assert re.fullmatch(sentence if fitting < 5 else "", told)


def test_pieces_are_kept_beside_the_output_in_a_folder_of_its_name(tmp_path):
    usual = arrange(TOML, tmp_path / "out.seal", minutes=None, crew=None)
    assert usual == Logistics(
        workers=perform_here, source=TOML.resolve(), folder=tmp_path / "out.seal.part", seconds=inf
    )
    other = arrange(TOML, tmp_path / "out.seal", minutes=0.5, crew=Processes(2))
    assert (other.seconds, other.workers) == (30.0, Processes(2))
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_the_folders_name_is_told(tmp_path):
    (tmp_path / "out.seal.part").touch()
    with pytest.raises(BadFileError, match=r"part: a folder for unfinished work was wanted"):
        arrange(TOML, tmp_path / "out.seal", minutes=None, crew=None)


def test_an_interruption_says_how_to_go_on_if_there_is_something_to_go_on_with(tmp_path):
    folder = tmp_path / "part"
    # KeyboardInterrupt has no text.
    with pytest.raises(KeyboardInterrupt, match=r"^$"), resumable(Logistics(folder=folder)):
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt, match=r"^$"), resumable(Logistics()):
        raise KeyboardInterrupt
    folder.mkdir()
    (folder / "0.piece").touch()
    problem = f"interrupted; the same command goes on with the candidates .* kept in {folder}$"
    with pytest.raises(KeyboardInterrupt, match=problem), resumable(Logistics(folder=folder)):
        raise KeyboardInterrupt


def test_a_failure_says_what_is_kept_if_anything_is(tmp_path):
    folder = tmp_path / "part"
    for nothing in (Logistics(folder=folder), Logistics()):
        with pytest.raises(SealingError, match=r"^none was accepted$"), resumable(nothing):
            raise SealingError("none was accepted")
    folder.mkdir()
    (folder / "0.piece").touch()
    problem = f"^none was accepted; the candidates stay in {folder}$"
    with pytest.raises(SealingError, match=problem), resumable(Logistics(folder=folder)):
        raise SealingError("none was accepted")


def test_too_few_candidates_are_told_as_the_time_limits_doing():
    found = sealed.fingerprint()
    count = len(found)
    check_enough(found, samples=count, minutes=2.5)
    check_enough(found, samples=count + 1, minutes=None)
    problem = (
        rf"^{count + 1} samples were wanted, but 2\.5 minutes gave {count} accepted candidates$"
    )
    with pytest.raises(SealingError, match=problem):
        check_enough(found, samples=count + 1, minutes=2.5)


def test_the_pieces_go_when_the_result_is_written_and_not_before(tmp_path):
    folder = tmp_path / "part"
    folder.mkdir()
    (folder / "0.piece").touch()
    logistics = Logistics(folder=folder)
    with pytest.raises(BadFileError, match="No such file"):
        finish(sealed.fingerprint(), tmp_path / "missing" / "out.seal", logistics)
    assert folder.exists()
    finish(sealed.fingerprint(), tmp_path / "out.seal", logistics)
    assert not folder.exists()
    finish(sealed.fingerprint(), tmp_path / "out.seal", Logistics())
    assert len(load(tmp_path / "out.seal")) == len(sealed.fingerprint())
