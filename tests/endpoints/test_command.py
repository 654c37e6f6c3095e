"""Against real programs: one that answers with a network, and others."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sealed
import torch
from programs import ANSWER, CODES, DOMAIN, gone, left
from safetensors.torch import save_file

from modelseal.domain import Domain
from modelseal.endpoints.encoding import Form, Sending
from modelseal.endpoints.responses import AnswerMapping, Labelling, Rows
from modelseal.endpoints.subprocess import CommandEndpoint, running
from modelseal.enums import Depth
from modelseal.errors import InvalidArgumentError
from modelseal.outputs.specs import RawScores
from modelseal.verdict import Outcome
from modelseal.verification.policy import QueryPolicy
from modelseal.verification.verify import verify


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


@pytest.mark.parametrize("right", [True, False])
def test_a_program_is_verified_with_many_questions_at_once(right, command):
    shown = DOMAIN.decode(SAMPLES).reshape(12, 6)[:, :3].astype(np.float64)
    shown[7] += 0 if right else 1
    spec = RawScores(1e-4)
    made = sealed.fingerprint(
        domain=DOMAIN, classes=3, count=12, spec=spec, samples=SAMPLES, expected=spec.reveal(shown)
    )
    verdict = verify(
        made,
        command(ANSWER),
        generator=np.random.default_rng(0),
        depth=Depth.ALL,
        policy=QueryPolicy(concurrency=4),
    )
    assert verdict.outcome is (Outcome.INTACT if right else Outcome.TAMPERED)


SAMPLES = np.arange(72, dtype=np.uint8).reshape(12, 2, 3)


def test_bytes_are_written_as_base64(command):
    program = ANSWER.replace("import json", "import base64, json").replace(
        """[number for row in asked["input"] for number in row]""",
        """list(map(float, base64.b64decode(asked["input"])))""",
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
    print(json.dumps({"id": asked["id"], "output": [1.5, 2, 3], "more": "y" * 10**6}), flush=True)
"""
    domain = Domain(shape=(3, 200, 200))
    codes = np.zeros((2, *domain.shape), np.uint8)
    shown = command(program, sending=Sending(domain=domain)).ask(codes)
    assert shown.values.tolist() == [[1.5, 2, 3]] * 2


def test_a_program_that_is_forgotten_ends_with_its_endpoint(command):
    endpoint = CommandEndpoint(
        [sys.executable, "-I", "-c", ANSWER],
        sending=Sending(domain=DOMAIN),
        mapping=AnswerMapping(labelling=Labelling(classes=3), select="output", rows=Rows.ONE),
    )
    endpoint.ask(CODES)
    pid = endpoint.child.process.pid
    assert left(pid)
    assert running(pid)
    del endpoint
    assert gone(pid)
    assert not running(pid)


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
            mapping=AnswerMapping(labelling=Labelling(classes=3)),
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
from modelseal.endpoints.subprocess import CommandEndpoint
from modelseal.endpoints.responses import AnswerMapping, Labelling, Rows
from modelseal.endpoints.encoding import Sending
endpoint = CommandEndpoint(
    [sys.executable, "-I", "program.py"],
    sending=Sending(domain=Domain(shape=(2, 3))),
    mapping=AnswerMapping(labelling=Labelling(classes=3), select="output", rows=Rows.ONE),
)
endpoint.ask(np.zeros((1, 2, 3), np.uint8))
"""


def test_the_end_of_a_process_that_asked_ends_the_program(tmp_path):
    telling = ANSWER.replace("for line", "open('pid', 'w').write(str(os.getpid()))\nfor line")
    (tmp_path / "program.py").write_text(telling)
    subprocess.run([sys.executable, "-c", ASKING], check=True, timeout=60, cwd=tmp_path)
    assert gone(int((tmp_path / "pid").read_text()))
