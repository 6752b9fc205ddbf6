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
from functools import partial
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
SEED = int(os.environ.get("BOXWRIGHT_KILLS_SEED", "0"))


def forked(work: Callable[[], object], ready: Callable[[], bool] | None = None, seconds: float = 0.0) -> bool:
    """Runs something in a fork; returns whether it was killed.

    Args:
        work: The function.
        ready: It is killed after this is true.
        seconds: How long after that.
    """
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if ready is not None:
        ends = None
        while ends is None or time.monotonic() < ends:
            if os.waitpid(child, os.WNOHANG)[0]:
                return False  # it was faster
            if ends is None and ready():
                ends = time.monotonic() + seconds
            time.sleep(0.002)
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return status != 0


def after(folder: Path, epochs: int) -> bool:
    """Returns whether a training has finished some epochs; 0 if it has begun."""
    if not epochs:
        return (folder / "run.json").exists()
    metrics = folder / "metrics.jsonl"
    return metrics.exists() and metrics.read_bytes().count(b"\n") >= epochs


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
    from boxwright_kerascv import plan
    from boxwright_kerascv.layers import Detector

    # Tracing and exporting take most of a short training.
    monkeypatch.setattr(plan, "_save_portable", lambda *_: None)
    monkeypatch.setattr(Detector, "run_eagerly", property(lambda model: True, lambda model, value: None))
    arguments: dict[str, Any] = {**small, "epochs": 4}

    def training(folder: Path, resume: bool = False) -> Callable[[], object]:
        data = boxwright.open("demo:train?images=8&seed=4&size=96x80")
        return lambda: train(data, out=folder, resume=resume, **({} if resume else arguments))

    with narrow():
        forked(training(tmp_path / "whole"))
        expected = end_state(Run(tmp_path / "whole"))
        chance = random.Random(SEED)
        kills = resumed = tried = 0
        while kills < KILLS:
            folder = tmp_path / str(tried)
            tried += 1
            # From the creation of the run to the last epoch.
            epochs = chance.randrange(arguments["epochs"])
            if not forked(training(folder), partial(after, folder, epochs), chance.uniform(0, 2)):
                continue
            kills += 1
            resumed += (folder / "checkpoints/last.npz").exists()
            forked(training(folder, resume=True))
            run = Run(folder)
            assert run.status == "done"
            found = end_state(run)
            assert found.keys() == expected.keys()
            for name, value in expected.items():
                np.testing.assert_array_equal(found[name], value, err_msg=f"kill {kills}: {name}")
            shutil.rmtree(folder)
            print(f"{kills} kills, {resumed} after the first checkpoint", file=sys.stderr)
