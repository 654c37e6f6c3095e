"""A program of some lines of Python, which answers JSON lines, and whether it still runs."""

import time
from pathlib import Path

import numpy as np

from modelseal.domain import Domain

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


def left(pid):
    """Whether a process is there and is no mere entry of a dead one."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def gone(pid, *, within=60.0):
    end = time.monotonic() + within
    while left(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not left(pid)
