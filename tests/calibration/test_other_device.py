"""The checks on another device, which stays once it is added: so in a process of their own."""

import subprocess
import sys
from pathlib import Path


def test_everything_is_the_same_on_another_device():
    files = sorted(Path(__file__).parents[1].glob("*/check_other_device.py"))
    assert len(files) == 8
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--no-cov", "-p", "no:cacheprovider", *files],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert ended.returncode == 0, ended.stdout[-5000:]
