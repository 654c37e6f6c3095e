import os
import subprocess
import sys
from pathlib import Path

import pytest
import server
from server import ServingError, serve


@pytest.fixture
def model_toml(tmp_path):
    path = tmp_path / "model.toml"
    path.write_text('[model]\nfactory = "nowhere:build"\n[input]\nshape = [3, 32, 32]\n')
    return path


def group_is_gone(process):
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.real
def test_a_server_that_does_not_come_up_is_an_error_with_the_end_of_its_log(tmp_path, model_toml):
    served = serve(model_toml, folder=tmp_path / "served")
    with pytest.raises(ServingError, match=r"ended before(.|\n)*expected weights"), served:
        pytest.fail("it came up")
    assert group_is_gone(served.process)


def test_a_server_that_takes_too_long_is_stopped(tmp_path, model_toml, monkeypatch):
    monkeypatch.setattr(server, "PATIENCE", 0.0)
    served = serve(model_toml, folder=tmp_path / "served")
    with pytest.raises(ServingError, match="not ready within 0 seconds"), served:
        pytest.fail("it came up")
    assert group_is_gone(served.process)


def test_a_server_and_its_children_that_do_not_end_by_themselves_are_ended(
    tmp_path, model_toml, monkeypatch
):
    monkeypatch.setattr(server, "GRACE", 0.3)
    stubborn = "trap '' TERM; sleep 60 & echo ready; wait; sleep 60"
    served = serve(model_toml, folder=tmp_path / "served")
    served.process = subprocess.Popen(
        ["sh", "-c", stubborn], stdout=subprocess.PIPE, start_new_session=True
    )
    with served.process.stdout as output:
        assert output.readline() == b"ready\n"
        served.stop()
        assert output.read() == b""  # nobody holds it any more
    assert served.process.returncode == -9


def test_the_servers_process_finds_the_runtime_and_listens_on_this_machine_only(
    tmp_path, model_toml, monkeypatch
):
    monkeypatch.setattr(server, "PATIENCE", 0.0)
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    started = []
    monkeypatch.setattr(
        subprocess, "Popen", lambda command, **options: started.append((command, options)) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError, match="division"), serve(model_toml, folder=tmp_path):
        pytest.fail("it came up")
    ((command, options),) = started
    assert command[0] == sys.executable
    demo, elsewhere = options["env"]["PYTHONPATH"].split(os.pathsep)
    assert (Path(demo).name, elsewhere) == ("demo", "/elsewhere")
    assert '"host": "127.0.0.1"' in (tmp_path / "settings.json").read_text()
