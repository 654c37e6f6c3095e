"""A program of some lines of Python, which answers JSON lines."""

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
