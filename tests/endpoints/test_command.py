"""Against real programs: one that answers with a network, and others that do something wrong."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from chores import await_end, is_alive
from programs import ANSWER, CODES, DOMAIN
from refusals import refuses
from safetensors.torch import save_file

from modelseal.domain import Domain
from modelseal.endpoints.requests import InputFormat
from modelseal.endpoints.responses import AnswerFormat, LabelFormat, Rows
from modelseal.endpoints.subprocess import Child, CommandEndpoint, is_running
from modelseal.errors import EndpointError, InvalidArgumentError, PassingError


def test_a_program_answers_one_line_for_each_input_and_is_kept(command):
    endpoint = command(ANSWER)
    wanted = DOMAIN.decode(CODES).reshape(2, 6)[:, :3]
    assert np.array_equal(endpoint.ask(CODES).values.astype(np.float32), wanted)
    pid = endpoint._connection.process.pid
    assert np.array_equal(endpoint.ask(CODES[::-1]).values.astype(np.float32), wanted[::-1])
    assert endpoint._connection.process.pid == pid
    endpoint.close()
    assert not is_alive(pid)


def test_threads_that_ask_at_once_share_one_program_and_get_their_own_answers(command):
    endpoint = command(ANSWER)
    rows = np.arange(24, dtype=np.uint8)[:, None, None] + CODES[:1]
    with ThreadPoolExecutor(8) as pool:
        shown = list(pool.map(lambda row: endpoint.ask(row[None]).values[0], rows))
    assert np.array_equal(np.stack(shown), DOMAIN.decode(rows).reshape(24, 6)[:, :3])


def test_a_large_input_and_a_talkative_program_do_not_block_each_other(command):
    program = """
import json, sys
for line in sys.stdin:
    sys.stderr.write("x" * 1_000_000 + "\\n")
    asked = json.loads(line)
    print(json.dumps({"id": asked["id"], "output": [1.5, 2, 3], "more": "y" * 10**6}), flush=True)
"""
    domain = Domain(shape=(3, 200, 200))
    codes = np.zeros((2, *domain.shape), np.uint8)
    shown = command(program, inputs=InputFormat(domain=domain)).ask(codes)
    assert shown.values.tolist() == [[1.5, 2, 3]] * 2


def test_a_program_that_is_forgotten_ends_with_its_endpoint(command):
    endpoint = CommandEndpoint(
        [sys.executable, "-I", "-c", ANSWER],
        inputs=InputFormat(domain=DOMAIN),
        answers=AnswerFormat(labels=LabelFormat(classes=3), select="output", rows=Rows.ONE),
    )
    endpoint.ask(CODES)
    pid = endpoint._connection.process.pid
    assert is_alive(pid)
    assert is_running(pid)
    del endpoint
    assert not await_end([pid])
    assert not is_running(pid)


def test_no_shell_reads_the_arguments(command, tmp_path):
    program = ANSWER + "\nopen('arguments', 'w').write(' '.join(sys.argv[1:]))"
    arguments = [sys.executable, "-I", "program.py", "$(touch x)", "; touch y", "*"]
    endpoint = command(program, arguments=arguments)
    endpoint.ask(CODES)
    endpoint.close()
    assert (tmp_path / "arguments").read_text() == "$(touch x) ; touch y *"
    assert {file.name for file in tmp_path.iterdir()} == {"program.py", "arguments"}


def test_no_program_is_the_callers_mistake():
    answers = AnswerFormat(labels=LabelFormat(classes=3))
    with refuses(InvalidArgumentError):
        CommandEndpoint((), inputs=InputFormat(domain=DOMAIN), answers=answers)


NETWORK = """
import json, sys
import torch
from safetensors.torch import load_file
from torch import nn
torch.set_num_threads(1)
parts = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(512, 3)
network = nn.Sequential(*parts)
network.load_state_dict(load_file("weights.safetensors"))
network.eval()
for line in sys.stdin:
    asked = json.loads(line)
    with torch.no_grad():
        scores = network(torch.tensor([asked["input"]]))[0].double().tolist()
    print(json.dumps({"id": asked["id"], "output": scores}), flush=True)
"""


@pytest.mark.real
def test_a_real_network_in_a_program_of_its_own_answers_as_in_this_process(command, tmp_path, tiny):
    save_file(tiny.state_dict(), tmp_path / "weights.safetensors")
    domain = Domain(shape=(3, 8, 8))
    codes = np.random.default_rng(0).integers(0, 256, (3, 3, 8, 8), dtype=np.uint8)
    endpoint = command(NETWORK, inputs=InputFormat(domain=domain), timeout=60.0)
    own = [tiny(torch.from_numpy(domain.decode(codes[[row]]))).numpy()[0] for row in range(3)]
    assert np.array_equal(endpoint.ask(codes).values.astype(np.float32), np.stack(own))


ASKING = """
import os, sys
import numpy as np
from modelseal.domain import Domain
from modelseal.endpoints.subprocess import CommandEndpoint
from modelseal.endpoints.responses import AnswerFormat, LabelFormat, Rows
from modelseal.endpoints.requests import InputFormat
endpoint = CommandEndpoint(
    [sys.executable, "-I", "program.py"],
    inputs=InputFormat(domain=Domain(shape=(2, 3))),
    answers=AnswerFormat(labels=LabelFormat(classes=3), select="output", rows=Rows.ONE),
)
endpoint.ask(np.zeros((1, 2, 3), np.uint8))
"""


def test_the_end_of_a_process_that_asked_ends_the_program(tmp_path):
    telling = ANSWER.replace("for line", "open('pid', 'w').write(str(os.getpid()))\nfor line")
    (tmp_path / "program.py").write_text(telling)
    subprocess.run([sys.executable, "-c", ASKING], check=True, timeout=60, cwd=tmp_path)
    assert not await_end([int((tmp_path / "pid").read_text())])


DEAF = "import time\ntime.sleep(60)\n"
FAULTS = {
    "ends at once": ("", "the command ended with code 0$"),
    "crashes": ("import os\nos.abort()", "the command ended with code -6"),
    "traceback": ("1 / 0", "the command ended with code 1: ZeroDivisionError: division by zero"),
    "no JSON": ("input()\nprint('hello', flush=True)\ninput()", "expected JSON"),
    "no id": ("input()\nprint('{}', flush=True)\ninput()", "id: .*got nothing"),
    "another id": (
        'input()\nprint(\'{"id": "x", "output": [1, 2, 3]}\', flush=True)\ninput()',
        r'id: .*got "x"',
    ),
    "two lines": (
        ANSWER.replace("flat[:3])", "flat[:3]);os.write(1, b'{}\\n{}\\n')").replace(
            "say(id", "time.sleep(0) or say(id"
        ),
        "got more|wrote a line without being asked",
    ),
    "speaks first": (
        "import os, time\nos.write(1, b'{}\\n{}\\n')\ntime.sleep(60)",
        "got more|without being asked|a JSON object|id: ",
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
    assert endpoint._connection is None
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
    with pytest.raises(EndpointError, match="expected an answer, got none within 4 seconds"):
        endpoint.ask(CODES)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    assert not await_end(pids)


def test_a_line_beyond_the_limit_is_refused_while_it_comes(command, monkeypatch):
    from modelseal.endpoints import subprocess

    monkeypatch.setattr(subprocess, "LARGEST", 100_000)
    endless = "import os\ninput()\nwhile True: os.write(1, b'x' * 10_000)"
    with pytest.raises(EndpointError, match="at most 100000 bytes"):
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
    with ThreadPoolExecutor(1) as pool, endpoint._turn:
        start = time.monotonic()
        asked = pool.submit(endpoint.ask, CODES)
        with pytest.raises(PassingError, match=r"was busy for 0\.5 seconds"):
            asked.result()
        assert 0.5 <= time.monotonic() - start < 5
    endpoint.timeout = 20.0
    assert len(endpoint.ask(CODES)) == 2


ECHO = "import sys\nfor line in sys.stdin: sys.stdout.write(line); sys.stdout.flush()"


@pytest.fixture
def start():
    children = []

    def begin(program):
        children.append(Child([sys.executable, "-I", "-c", program], folder=Path()))
        return children[-1]

    yield begin
    for child in children:
        child.close()


def test_a_line_that_nobody_asked_for_is_no_answer_to_the_next(start, tmp_path):
    wanted, written = tmp_path / "wanted", tmp_path / "written"
    child = start(
        "import os, pathlib, time\ninput()\nos.write(1, b'1\\n')\n"
        f"while not os.path.exists({str(wanted)!r}): time.sleep(0.01)\n"
        f"os.write(1, b'2\\n')\npathlib.Path({str(written)!r}).touch()\ntime.sleep(60)"
    )
    assert child.exchange(b"a\n", seconds=20.0) == b"1"
    wanted.touch()
    while not written.exists():
        time.sleep(0.01)
    time.sleep(0.3)
    with pytest.raises(EndpointError, match="the command wrote a line without being asked"):
        child.exchange(b"b\n", seconds=20.0)


def test_a_program_that_does_not_end_by_itself_is_ended(start):
    child = start("import time\ntime.sleep(60)")
    began = time.monotonic()
    child.close()
    assert time.monotonic() - began < 50
    assert child.process.returncode == -9


def test_what_a_program_complains_of_is_cut_to_its_last_line(start):
    child = start(
        "import sys\nsys.stderr.write('a\\n' * 9000 + '\\x1b[31mlast\\n\\n')\nsys.exit(3)"
    )
    with (
        closing(child),
        pytest.raises(EndpointError, match=r"the command ended with code 3: \[31mlast$"),
    ):
        child.exchange(b"a\n", seconds=20.0)
    assert len(child.complaint) <= 2000


def test_the_program_is_not_given_what_opens_or_signs_but_all_else(start, monkeypatch):
    secret = (
        *("MODELSEAL_PASSPHRASE", "MODELSEAL_KEY_PASSPHRASE", "SIGSTORE_IDENTITY_TOKEN"),
        *("SIGSTORE_ID_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL"),
    )
    names = (*secret, "MODELSEAL_OTHER")
    for name in names:
        monkeypatch.setenv(name, "x")
    show = "import os\nfor line in iter(input, ''): print(os.environ.get(line), flush=True)"
    child = start(show)
    shown = [child.exchange(f"{name}\n".encode(), seconds=20.0) for name in names]
    assert shown == [b"None"] * len(secret) + [b"x"]
