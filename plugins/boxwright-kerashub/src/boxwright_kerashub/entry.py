"""The backend, which chooses the framework before it imports Keras.

The plugin's spec names this module.
"""

from __future__ import annotations

import json
from pathlib import Path

from boxwright import TrainJob
from boxwright.models import Model, Network, Run
from boxwright_kerashub.frameworks import choose_framework, importing
from boxwright_retinanet.checkpoint import NETWORK, WEIGHTS


class KerasHubBackend:
    """Trains KerasHub's RetinaNet and loads what it trained."""

    def fit(self, job: TrainJob) -> None:
        """Trains, or resumes training; see :mod:`boxwright_kerashub.backend`."""
        trained = _framework_of(job.run) if job.resume else None
        with importing(choose_framework(job.settings.get("framework"), trained)):
            from boxwright_kerashub import backend
        backend.fit(job)

    def load(self, run: Run) -> Model:
        """Returns the trained model of a run, in the framework of :func:`choose_framework`.

        Raises:
            RunError: The run has no model yet, or its files are inconsistent.
        """
        run.trained_file(WEIGHTS)
        with importing(choose_framework(trained=_framework_of(run))):
            from boxwright_kerashub import backend
        return backend.load(run)

    def write_network(self, run: Run, folder: Path) -> Network:
        """Writes the network of a run as a SavedModel, for exporters; the framework must be TensorFlow.

        Raises:
            UsageError: Keras uses another framework in this process.
            MissingLibraryError: TensorFlow is not installed.
            RunError: The run has no model yet, or its files are inconsistent.
        """
        with importing(choose_framework("tensorflow")):
            from boxwright_kerashub.saved import write_network
        return write_network(run, folder)


def _framework_of(run: Run) -> str | None:
    """Returns the framework that a run was trained with, if it says so."""
    try:
        found = json.loads(run.file(NETWORK).read_text("utf-8")).get("framework")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    return found if isinstance(found, str) else None
