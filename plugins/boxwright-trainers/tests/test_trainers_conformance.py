"""The conformance tests, in a separate process: TensorFlow makes logical devices only before it starts."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tensorflow


def test_the_trainers_pass_the_conformance_tests(tmp_path: Path) -> None:
    """Both devices train: the result is that of the trainer ``local``, and no test is skipped."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--pyargs",
        "boxwright_trainers.conformance",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^\d+ passed in", done.stdout.splitlines()[-1]), done.stdout
