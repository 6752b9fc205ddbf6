"""Trainings that are killed at random times and resumed end with the weights of one that was not killed.

Each training runs in a fork of this process, which has imported TensorFlow and not used it: a fork is fast, and the
signal kills a whole process at any instruction. ``BOXWRIGHT_KILLS`` sets the number of kills, 50 by default.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import boxwright
from boxwright import train
from boxwright.models import Run

pytest.importorskip("tensorflow")

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks"),
]

KILLS = int(os.environ.get("BOXWRIGHT_KILLS", "50"))


def forked(work: Callable[[], object], kill_after: float | None = None) -> bool:
    """Runs something in a fork, or kills it after some seconds; returns whether it was killed."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    ends = None if kill_after is None else time.monotonic() + kill_after
    while ends is not None and time.monotonic() < ends:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(0.002)
    if ends is not None:
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return status != 0


def end_state(run: Run) -> dict[str, Any]:
    """Returns the arrays of the last checkpoint: weights, moments of the optimizer, moving averages."""
    with np.load(run.file("checkpoints/last.npz"), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def test_killed_trainings_end_with_the_same_weights(
    tmp_path: Path,
    narrow: Callable[..., AbstractContextManager[None]],
    small: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from boxwright_kerascv import backend
    from boxwright_kerascv.layers import Detector

    # Tracing and exporting take most of a short training.
    monkeypatch.setattr(backend, "_save_portable", lambda *_: None)
    monkeypatch.setattr(Detector, "run_eagerly", property(lambda model: True, lambda model, value: None))
    arguments = {**small, "epochs": 4}

    def training(folder: Path, resume: bool = False) -> Callable[[], object]:
        data = boxwright.open("demo:train?images=8&seed=4&size=96x80")
        return lambda: train(data, out=folder, resume=resume, **({} if resume else arguments))

    with narrow():
        started = time.monotonic()
        forked(training(tmp_path / "whole"))
        duration = time.monotonic() - started
        expected = end_state(Run(tmp_path / "whole"))
        chance = random.Random(0)
        kills = resumed = tried = 0
        while kills < KILLS:
            folder = tmp_path / str(tried)
            tried += 1
            if not forked(training(folder), kill_after=chance.uniform(0.1, 1.0) * duration):
                continue  # it was faster
            kills += 1
            started_before = (folder / "run.json").exists()
            resumed += (folder / "checkpoints/last.npz").exists()
            forked(training(folder, resume=started_before))
            run = Run(folder)
            assert run.status == "done"
            found = end_state(run)
            assert found.keys() == expected.keys()
            for name, value in expected.items():
                np.testing.assert_array_equal(found[name], value, err_msg=f"kill {kills}: {name}")
            shutil.rmtree(folder)
            print(f"{kills} kills, {resumed} after the first checkpoint", file=sys.stderr)
