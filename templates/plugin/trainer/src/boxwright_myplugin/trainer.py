"""Trains with low priority."""

from __future__ import annotations

import os

from boxwright import TrainJob
from boxwright.protocols import Backend

_NICE = 10


class MyPluginTrainer:
    """Runs the backend here, at a ``nice`` value of at least 10."""

    def train(self, backend: Backend, job: TrainJob) -> None:
        """Runs ``backend.fit(job)``; what it raises is for the user, and comes through as it is."""
        if hasattr(os, "nice"):
            os.nice(max(0, _NICE - os.nice(0)))  # only a process with special rights could take it back
            job.reporter.message("Training behind the machine's other work.")
        backend.fit(job)
