"""The backend, which imports TensorFlow only where it is needed, and without its start-up messages.

The plugin's spec names this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from boxwright import TrainJob
from boxwright.models import Model, Network, Replicas, ReplicatedTraining, Run
from boxwright_kerascv.portable import load_portable
from boxwright_retinanet.checkpoint import WEIGHTS
from boxwright_tf.quiet import quiet_import


class KerasCVBackend:
    """Trains KerasCV's RetinaNet and loads what it trained."""

    def fit(self, job: TrainJob) -> None:
        """Trains, or resumes training; see :mod:`boxwright_kerascv.backend`."""
        with quiet_import():
            from boxwright_kerascv import backend
        backend.KerasCVBackend().fit(job)

    @contextmanager
    def start(self, job: TrainJob, replicas: Replicas) -> Iterator[ReplicatedTraining]:
        """Prepares a training on several replicas; see :mod:`boxwright_kerascv.replicated`."""
        with quiet_import():
            from boxwright_kerascv import backend
        with backend.KerasCVBackend().start(job, replicas) as training:
            yield training

    def load(self, run: Run) -> Model:
        """Returns the trained model of a run: in LiteRT if the run and the environment have it, else in Keras.

        Raises:
            RunError: The run has no model yet, or its files are inconsistent.
        """
        run.trained_file(WEIGHTS)
        return load_portable(run) or self.load_framework(run)

    def load_framework(self, run: Run) -> Model:
        """Returns the trained model of a run in Keras.

        Raises:
            RunError: The run has no model yet, or its files are inconsistent.
        """
        with quiet_import():
            from boxwright_kerascv import backend
        return backend.KerasCVBackend().load(run)

    def write_network(self, run: Run, folder: Path) -> Network:
        """Writes the network of a run as a SavedModel, for exporters.

        Raises:
            RunError: The run has no model yet, or its files are inconsistent.
        """
        with quiet_import():
            from boxwright_kerascv.saved import write_network
        return write_network(run, folder)
