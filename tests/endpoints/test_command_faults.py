"""Programs that do something wrong."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from programs import ANSWER, CODES, gone

from modelseal.errors import EndpointError, PassingError

DEAF = "import time\ntime.sleep(60)\n"
FAULTS = {
    "ends at once": ("", "the command ended with code 0$"),
    "fails": ("import sys\nsys.exit('no such model')", "the command ended with code 1: no such"),
    "crashes": ("import os\nos.abort()", "the command ended with code -6"),
    "traceback": ("1 / 0", "the command ended with code 1: ZeroDivisionError: division by zero"),
    "ends in mid-line": ("import sys\nsys.stdout.write('{')\n", "ended with code 0"),
    "no JSON": ("input()\nprint('hello', flush=True)\ninput()", "JSON was wanted"),
    "no object": ("input()\nprint('[1]', flush=True)\ninput()", "a JSON object was wanted"),
    "empty line": ("input()\nprint(flush=True)\ninput()", "JSON was wanted"),
    "no id": ("input()\nprint('{}', flush=True)\ninput()", "id: .* was wanted, but nothing came"),
    "another id": (
        'input()\nprint(\'{"id": "x", "output": [1, 2, 3]}\', flush=True)\ninput()',
        'id: .* was wanted, but "x" came',
    ),
    "no answer": (ANSWER.replace("output=", "other="), "output: an answer was wanted, but nothing"),
    "other scores": (ANSWER.replace("[:3]", "[:2]"), "3 scores were wanted, but 2 came"),
    "nan": (ANSWER.replace("flat[:3]", "[float('nan')] * 3"), "finite numbers were wanted"),
    "two lines": (
        ANSWER.replace("flat[:3])", "flat[:3]);os.write(1, b'{}\\n{}\\n')").replace(
            "say(id", "time.sleep(0) or say(id"
        ),
        "one line was wanted, but more came|wrote a line without being asked",
    ),
    "speaks first": (
        "import os, time\nos.write(1, b'{}\\n{}\\n')\ntime.sleep(60)",
        "more came|without being asked|a JSON object|id: ",
    ),
    "closes its ears": (
        "import os, time\nos.close(0)\nos.close(1)\ntime.sleep(60)",
        "the command ended with code -9",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_an_error_and_leaves_no_process(name, command):
    program, message = FAULTS[name]
    endpoint = command(program)
    start = time.monotonic()
    with pytest.raises(EndpointError, match=message) as caught:
        endpoint.ask(CODES)
    assert str(caught.value).startswith(f"{sys.executable}: ")
    assert endpoint.child is None
    assert time.monotonic() - start < 50


def test_a_program_that_hangs_is_given_up_in_time_with_all_that_it_started(command, tmp_path):
    program = (
        "import os, subprocess, sys, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"child = subprocess.Popen([sys.executable, '-I', '-c', {DEAF!r}])\n"
        "open('pids', 'w').write(f'{os.getpid()} {child.pid}')\n"
        f"{DEAF}"
    )
    endpoint = command(program, timeout=4.0)
    with pytest.raises(EndpointError, match="no answer came within 4 seconds"):
        endpoint.ask(CODES)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    assert all(gone(pid) for pid in pids)


def test_a_line_beyond_the_limit_is_refused_while_it_comes(command, monkeypatch):
    from modelseal.endpoints import subprocess

    monkeypatch.setattr(subprocess, "LARGEST", 100_000)
    endless = "import os\ninput()\nwhile True: os.write(1, b'x' * 10_000)"
    with pytest.raises(EndpointError, match="a line of at most 100000 bytes was wanted"):
        command(endless).ask(CODES)


def test_after_a_fault_the_program_is_started_anew(command, tmp_path):
    once = (
        "import pathlib, sys\nplace = pathlib.Path('seen')\nif not place.exists():\n"
        "    place.touch()\n    sys.exit('not yet')\n"
    )
    endpoint = command(once + ANSWER)
    with pytest.raises(EndpointError, match="not yet"):
        endpoint.ask(CODES)
    assert len(endpoint.ask(CODES)) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/nowhere/at/all"], "/nowhere/at/all: the command cannot be started: No such file"),
        (["program.py"], "program.py: the command cannot be started: "),
        (["a\0b"], "the command cannot be started: embedded null"),
    ],
)
def test_a_program_that_cannot_be_started_is_an_error(command, arguments, message):
    with pytest.raises(EndpointError, match=message):
        command(ANSWER, arguments=arguments).ask(CODES)


def test_a_turn_that_does_not_come_in_time_may_pass_and_another_one_comes(command, tmp_path):
    slow = ANSWER.replace("for line", "time.sleep(1)\nfor line")
    endpoint = command(slow, timeout=0.5)
    with ThreadPoolExecutor(1) as pool, endpoint.waiting():
        start = time.monotonic()
        asked = pool.submit(endpoint.ask, CODES)
        with pytest.raises(PassingError, match=r"was busy with other inputs for 0\.5 seconds"):
            asked.result()
        assert 0.5 <= time.monotonic() - start < 5
    endpoint.timeout = 20.0
    assert len(endpoint.ask(CODES)) == 2
