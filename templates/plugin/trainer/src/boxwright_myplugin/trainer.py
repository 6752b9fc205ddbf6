"""Trains with low priority."""

from __future__ import annotations

import os

from boxwright import TrainJob
from boxwright.models import Backend

_NICE = 10


class MyPluginTrainer:
    """Runs the backend in this process, with a ``nice`` value of at least 10."""

    def train(self, backend: Backend, job: TrainJob) -> None:
        """Runs ``backend.fit(job)``, and passes its errors on unchanged."""
        if hasattr(os, "nice"):
            os.nice(max(0, _NICE - os.nice(0)))  # only a privileged process could undo it
            job.reporter.message("Training with low priority.")
        backend.fit(job)
