"""The logger ``mlflow``."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Metric, Param

from boxwright import Run, hookimpl
from boxwright_loggers.content import flat, kept_identity, step_of

_KEPT = "mlflow-run.txt"
_STATUS = {"done": "FINISHED", "interrupted": "KILLED"}
_MOST = 100
"""The number of parameters that a server accepts at once."""
_LONGEST = 6000
"""The number of characters that it accepts in the value of a parameter."""


class MlflowLogger:
    """Writes a run of MLflow through its client, which adds nothing of the environment or the command line.

    Args:
        uri: The server or database; ``None`` for MLflow's default.
        experiment: The name of the experiment.
        name: The name of the run; ``None`` for that of the run folder.
    """

    def __init__(self, uri: str | None = None, experiment: str = "boxwright", name: str | None = None) -> None:
        self._uri, self._experiment, self._name = uri, experiment, name
        self._client: Any = None
        self._run = ""
        self._step = 0

    @hookimpl
    def boxwright_run_started(self, run: Run, config: Mapping[str, Any]) -> None:
        """Creates the run with its settings, or continues that of an interrupted training."""
        self._client = mlflow.MlflowClient(tracking_uri=self._uri or mlflow.get_tracking_uri())
        if kept := kept_identity(run.file(_KEPT)):
            self._client.update_run(kept, status="RUNNING")
            self._run = kept
            return
        experiment = self._client.get_experiment_by_name(self._experiment)
        number = experiment.experiment_id if experiment else self._client.create_experiment(self._experiment)
        name = self._name or run.final_path.resolve().name
        created = self._client.create_run(number, run_name=name, tags={"boxwright.run": str(run.final_path.resolve())})
        self._run = str(created.info.run_id)
        run.file(_KEPT).write_text(self._run, "utf-8")
        parameters = [Param(key, str(value)[:_LONGEST]) for key, value in flat(config)]
        for start in range(0, len(parameters), _MOST):
            self._client.log_batch(self._run, params=parameters[start : start + _MOST])

    @hookimpl
    def boxwright_epoch_ended(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Writes the values of an epoch."""
        self._step = step_of(epoch, metrics)
        self._log(metrics)

    @hookimpl
    def boxwright_predictions_drawn(self, epoch: int, images: Mapping[str, bytes]) -> None:
        """Writes images."""
        with tempfile.TemporaryDirectory() as folder, self._connected():
            for name, data in images.items():
                path = Path(folder) / f"{name}.jpg"
                path.write_bytes(data)
                self._client.log_artifact(self._run, str(path), f"predictions/epoch-{epoch}")

    @hookimpl
    def boxwright_run_measured(self, values: Mapping[str, float]) -> None:
        """Writes the final metrics."""
        self._log({f"final_{name}": value for name, value in values.items()})

    @hookimpl
    def boxwright_run_ended(self, status: str) -> None:
        """Ends the run."""
        if self._run:
            with self._connected():
                self._client.set_terminated(self._run, _STATUS.get(status, "FAILED"))

    def _log(self, values: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        with self._connected():
            metrics = [Metric(name, float(value), now, self._step) for name, value in values.items()]
            self._client.log_batch(self._run, metrics=metrics)

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """Leaves the run after a failure: the client repeats a request for minutes before it raises."""
        try:
            yield
        except BaseException:
            self._run = ""
            raise
