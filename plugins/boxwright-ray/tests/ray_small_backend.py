"""A small network, whose training can be slow, and can kill worker 1."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from boxwright import TrainJob
from boxwright.models import Replicas
from boxwright_kerascv import network
from boxwright_kerascv.backend import KerasCVBackend
from boxwright_kerascv.layers import NarrowBackbone
from boxwright_kerascv.replicated import ReplicatedFit

# Tracing the whole network takes most of a short training.
network._backbone = lambda preset, input_shape, weights: NarrowBackbone(
    channels=[16, 16, 32, 32], depths=[0, 0, 0, 1], input_shape=input_shape
)


class Small(KerasCVBackend):
    """Trains it; variables with the prefix ``BOXWRIGHT_`` reach all machines.

    ``BOXWRIGHT_TEST_DEATHS`` is a folder that does not exist: worker 1 kills its process at step 7 and makes it.
    ``BOXWRIGHT_TEST_NODE`` is a file in which worker 1 writes its node. ``BOXWRIGHT_TEST_SECONDS`` makes each step take
    longer.
    """

    @contextmanager
    def start(self, job: TrainJob, replicas: Replicas) -> Iterator[ReplicatedFit]:
        with super().start(job, replicas) as training:
            step = training.step

            def changed(parts: Sequence[Any]) -> None:
                time.sleep(float(os.environ.get("BOXWRIGHT_TEST_SECONDS", "0")))
                deaths = os.environ.get("BOXWRIGHT_TEST_DEATHS")
                if deaths and not Path(deaths).exists() and not replicas.main and training._plan.progress.step == 7:
                    Path(deaths).mkdir()
                    os.kill(os.getpid(), signal.SIGKILL)
                step(parts)

            if (file := os.environ.get("BOXWRIGHT_TEST_NODE")) and not replicas.main:
                import ray

                Path(file).write_text(ray.get_runtime_context().get_node_id())
            training.step = changed  # type: ignore[method-assign]
            yield training
