"""Against real programs: one that answers with a network, and many that do something wrong."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from modelseal.domain import Domain
from modelseal.endpoints.child import running
from modelseal.endpoints.command import CommandEndpoint
from modelseal.endpoints.labelling import Labelling
from modelseal.endpoints.mapping import Mapping, Rows
from modelseal.endpoints.sending import Form, Sending
from modelseal.errors import EndpointError, InvalidArgumentError

DOMAIN = Domain(shape=(2, 3))
CODES = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)

ANSWER = """
import json, sys, os, time
def say(**more):
    print(json.dumps(more), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    flat = [number for row in asked["input"] for number in row]
    say(id=asked["id"], output=flat[:3])
"""


@pytest.fixture
def command(tmp_path):
    """A program of some lines of Python as an endpoint."""
    made = []

    def build(program, *, arguments=None, **settings):
        (tmp_path / "program.py").write_text(program, encoding="utf-8")
        sending = settings.pop("sending", Sending(domain=DOMAIN))
        made.append(
            CommandEndpoint(
                arguments or [sys.executable, "-I", "program.py"],
                sending=sending,
                mapping=Mapping(labelling=Labelling(classes=3), select="output", rows=Rows.ONE),
                folder=tmp_path,
                **{"timeout": 20.0, **settings},
            )
        )
        return made[-1]

    yield build
    for endpoint in made:
        endpoint.close()


def left(pid):
    """Whether a process is there and is no mere entry of a dead one."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def gone(pid, *, within=5.0):
    end = time.monotonic() + within
    while left(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not left(pid)


def test_a_program_answers_one_line_for_each_input_and_is_kept(command):
    endpoint = command(ANSWER)
    wanted = DOMAIN.decode(CODES).reshape(2, 6)[:, :3]
    assert np.array_equal(endpoint.ask(CODES).values.astype(np.float32), wanted)
    pid = endpoint.child.process.pid
    assert np.array_equal(endpoint.ask(CODES[::-1]).values.astype(np.float32), wanted[::-1])
    assert endpoint.child.process.pid == pid
    endpoint.close()
    assert gone(pid, within=0)


def test_threads_that_ask_at_once_share_one_program_and_get_their_own_answers(command):
    endpoint = command(ANSWER)
    rows = np.arange(24, dtype=np.uint8)[:, None, None] + CODES[:1]
    with ThreadPoolExecutor(8) as pool:
        shown = list(pool.map(lambda row: endpoint.ask(row[None]).values[0], rows))
    assert np.array_equal(np.stack(shown), DOMAIN.decode(rows).reshape(24, 6)[:, :3])


def test_bytes_are_written_as_base64(command):
    program = ANSWER.replace("import json", "import base64, json").replace(
        """[number for row in asked["input"] for number in row]""",
        """list(base64.b64decode(asked["input"]))""",
    )
    sending = Sending(domain=DOMAIN, form=Form.PNG)
    shown = command(program, sending=sending).ask(CODES)
    assert shown.values.tolist() == [list(b"\x89PN")] * 2


def test_a_large_input_and_a_talkative_program_do_not_block_each_other(command):
    program = """
import json, sys
for line in sys.stdin:
    sys.stderr.write("x" * 1_000_000 + "\\n")
    asked = json.loads(line)
    print(json.dumps({"id": asked["id"], "output": [1, 2, 3], "more": "y" * 1_000_000}), flush=True)
"""
    domain = Domain(shape=(3, 200, 200))
    codes = np.zeros((2, *domain.shape), np.uint8)
    shown = command(program, sending=Sending(domain=domain)).ask(codes)
    assert shown.values.tolist() == [[1, 2, 3]] * 2


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
    assert time.monotonic() - start < 20


def test_a_program_that_hangs_is_given_up_in_time_with_all_that_it_started(command, tmp_path):
    program = (
        "import os, subprocess, sys, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"child = subprocess.Popen([sys.executable, '-I', '-c', {DEAF!r}])\n"
        "open('pids', 'w').write(f'{os.getpid()} {child.pid}')\n"
        f"{DEAF}"
    )
    endpoint = command(program, timeout=2.0)
    with pytest.raises(EndpointError, match="no answer came within 2 seconds"):
        endpoint.ask(CODES)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    assert all(gone(pid) for pid in pids)


def test_a_line_beyond_the_limit_is_refused_while_it_comes(command, monkeypatch):
    from modelseal.endpoints import child

    monkeypatch.setattr(child, "LARGEST", 100_000)
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


def test_a_program_that_is_forgotten_ends_with_its_endpoint(command):
    endpoint = CommandEndpoint(
        [sys.executable, "-I", "-c", ANSWER],
        sending=Sending(domain=DOMAIN),
        mapping=Mapping(labelling=Labelling(classes=3), select="output", rows=Rows.ONE),
    )
    endpoint.ask(CODES)
    pid = endpoint.child.process.pid
    assert left(pid)
    assert running(pid)
    del endpoint
    assert gone(pid)
    assert not running(pid)


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


def test_no_shell_reads_the_arguments(command, tmp_path):
    program = ANSWER + "\nopen('arguments', 'w').write(' '.join(sys.argv[1:]))"
    arguments = [sys.executable, "-I", "program.py", "$(touch x)", "; touch y", "*"]
    endpoint = command(program, arguments=arguments)
    endpoint.ask(CODES)
    endpoint.close()
    assert (tmp_path / "arguments").read_text() == "$(touch x) ; touch y *"
    assert {file.name for file in tmp_path.iterdir()} == {"program.py", "arguments"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arguments": ()}, "a program and its arguments were wanted"),
        ({"arguments": ("x",), "timeout": 0.0}, "timeout needs positive seconds"),
        ({"arguments": ("x",), "timeout": np.nan}, "timeout needs positive seconds"),
    ],
)
def test_no_program_or_no_time_is_the_callers_mistake(settings, message):
    with pytest.raises(InvalidArgumentError, match=message):
        CommandEndpoint(
            settings.pop("arguments"),
            sending=Sending(domain=DOMAIN),
            mapping=Mapping(labelling=Labelling(classes=3)),
            **settings,
        )


def test_wrong_inputs_are_the_callers_mistake_and_nothing_is_started(command):
    endpoint = command(ANSWER)
    with pytest.raises(InvalidArgumentError, match="inputs need shape"):
        endpoint.ask(CODES[:, :1])
    assert endpoint.child is None


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
    endpoint = command(NETWORK, sending=Sending(domain=domain), timeout=60.0)
    own = [tiny(torch.from_numpy(domain.decode(codes[[row]]))).numpy()[0] for row in range(3)]
    assert np.array_equal(endpoint.ask(codes).values.astype(np.float32), np.stack(own))


ASKING = """
import os, sys
import numpy as np
from modelseal.domain import Domain
from modelseal.endpoints.command import CommandEndpoint
from modelseal.endpoints.labelling import Labelling
from modelseal.endpoints.mapping import Mapping, Rows
from modelseal.endpoints.sending import Sending
endpoint = CommandEndpoint(
    [sys.executable, "-I", "program.py"],
    sending=Sending(domain=Domain(shape=(2, 3))),
    mapping=Mapping(labelling=Labelling(classes=3), select="output", rows=Rows.ONE),
)
endpoint.ask(np.zeros((1, 2, 3), np.uint8))
"""


def test_the_end_of_a_process_that_asked_ends_the_program(tmp_path):
    telling = ANSWER.replace("for line", "open('pid', 'w').write(str(os.getpid()))\nfor line")
    (tmp_path / "program.py").write_text(telling)
    subprocess.run([sys.executable, "-c", ASKING], check=True, timeout=60, cwd=tmp_path)
    assert gone(int((tmp_path / "pid").read_text()))
