import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from modelseal.endpoints.subprocess import Child, running
from modelseal.errors import EndpointError

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


def test_each_line_gets_the_one_that_answers_it(start):
    child = start(ECHO)
    assert [child.exchange(line, seconds=20.0) for line in (b"a\n", b"b\n")] == [b"a", b"b"]


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


def test_closing_waits_for_the_end_and_may_come_twice(start):
    child = start(ECHO)
    child.close()
    child.close()
    assert not running(child.process.pid)
    assert child.process.returncode == 0


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
