"""Small trainings in separate processes: TensorFlow takes its devices once per process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

PROGRAM = """
import json, sys
import boxwright
from boxwright_kerascv import network
from boxwright_kerascv.layers import NarrowBackbone

# Tracing the whole network takes most of a short training.
network._backbone = lambda preset, shape, weights: NarrowBackbone(
    channels=[16, 16, 32, 32], depths=[0, 0, 0, 1], input_shape=shape
)
arguments = json.loads(sys.argv[1])
if stop := arguments.pop("stop_after", None):
    from boxwright import TrainJob

    ended = TrainJob.checkpoint_written

    def checkpoint_written(job, path, epoch):
        ended(job, path, epoch)
        if epoch == stop:
            raise KeyboardInterrupt

    TrainJob.checkpoint_written = checkpoint_written
if die := arguments.pop("die_at", None):
    import os
    from boxwright_kerascv.replicated import ReplicatedFit

    step = ReplicatedFit.step

    def dying_step(self, parts):
        if self._plan.progress.step == die:
            os.kill(os.getpid(), 9)
        step(self, parts)

    ReplicatedFit.step = dying_step
data = arguments.pop("data", "demo:train?images=8&seed=4&size=96x80")
try:
    boxwright.train(data, log=[], **arguments)
except boxwright.BoxwrightError as error:
    sys.exit(f"Error: {error}")
except KeyboardInterrupt:
    if not stop:
        raise
"""

SMALL: dict[str, Any] = {
    "backend": "kerascv",
    "preset": "tiny",
    "image_size": (64, 64),
    "batch_size": 4,
    "seed": 1,
    "settings": {"score_threshold": 0.001, "oversample": 1.0, "steps": 20},
}
"""Twenty steps: ten epochs of two."""


class Training:
    """A training that runs in a separate process."""

    settings: ClassVar[dict[str, Any]] = SMALL["settings"]

    @classmethod
    def small(cls, environment: dict[str, str] | None = None, **changes: Any) -> Training:
        """Begins a small training, or resumes one."""
        arguments = changes if changes.get("resume") else SMALL | changes
        return cls(arguments | {"out": str(arguments["out"])}, environment or {})

    def __init__(self, arguments: dict[str, Any], environment: dict[str, str]) -> None:
        command = [sys.executable, "-c", PROGRAM, json.dumps(arguments)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=os.environ | environment
        )

    def end(self, timeout: float = 400) -> tuple[int, str]:
        """Waits for its end; returns the exit status and what it wrote to stderr."""
        _, messages = self.process.communicate(timeout=timeout)
        return self.process.returncode, messages


def free_ports(count: int) -> list[int]:
    """Returns ports that nothing uses at this moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def end_state(folder: Path) -> dict[str, np.ndarray]:
    """Returns the weights and the state of the optimizer at the end of a training."""
    with np.load(folder / "checkpoints" / "last.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files if name != "state"}


def greatest_difference(one: Path, two: Path, kinds: Sequence[str] = ("model",)) -> float:
    """Returns by how much the end states of two trainings differ."""
    first, second = end_state(one), end_state(two)
    assert first.keys() == second.keys()
    assert first["step"] == second["step"]
    differences = [
        float(np.abs(first[name].astype(float) - second[name].astype(float)).max(initial=0.0))
        for name in first
        if name.startswith(tuple(kinds))
    ]
    return max(differences)
