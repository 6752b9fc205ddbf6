"""Trainings on several replicas of a model: what every trainer of them does."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boxwright.errors import RunError, UsageError
from boxwright.models.job import TrainJob
from boxwright.models.protocols import Replicas, ReplicatedBackend, Shard


class OneReplica:
    """One replica in this process, for a training without other devices."""

    count = 1
    indexes = (0,)
    main = True

    def scope(self) -> AbstractContextManager[Any]:
        """Nothing is copied."""
        return nullcontext()

    def run(self, function: Callable[[Any], Any], parts: Sequence[Any]) -> Any:
        """Calls the function."""
        (part,) = parts
        return function(part)

    def sum(self, values: Any) -> Any:
        """Returns the values."""
        return values

    def share(self, content: bytes) -> bytes:
        """Returns the content."""
        return content


def check_replicas(backend: object, job: TrainJob, trainer: str, count: int) -> None:
    """Checks, before anything is started, that a backend can train a job on a number of replicas.

    Args:
        backend: The backend.
        job: The training.
        trainer: The name of the trainer, for messages.
        count: The number of replicas.

    Raises:
        UsageError: The backend is not a :class:`~boxwright.models.ReplicatedBackend`, or the number does not divide the
            batch size.
    """
    if not isinstance(backend, ReplicatedBackend):
        raise UsageError(
            f"the backend {job.run.backend} cannot be trained by the trainer {trainer}: it does not offer its training"
            " step by step",
            "use --trainer local, or another backend",
        )
    if job.batch_size is not None:
        _check_batch_size(job.batch_size, count)


def _check_batch_size(batch_size: int, count: int) -> None:
    if batch_size % count:
        lower = batch_size // count * count
        near = [size for size in (lower, lower + count) if size]
        raise UsageError(
            f"a batch of {batch_size} images cannot be divided equally among {count} replicas",
            f"pass --batch-size {' or '.join(map(str, near))}",
        )


def train_replicas(backend: ReplicatedBackend, job: TrainJob, replicas: Replicas) -> None:
    """Trains a job on replicas, in every process that has some; the main process writes the model to the run.

    All processes train with the state of the main process, which a resumed training has from its checkpoint.

    Raises:
        UsageError: The number of replicas does not divide the batch size.
        RunError: This process trains something else than the main process, such as other data.
    """
    # Before the model is made: with other data it may have other shapes, which a trainer cannot copy.
    _check_equal(_known(job), replicas)
    with backend.start(job, replicas) as training:
        _check_batch_size(training.batch_size, replicas.count)
        _check_equal(training.settings, replicas)
        training.restore(_arrays(replicas.share(_content(training.state()) if replicas.main else b"")))
        parts = [training.batches(Shard(index, replicas.count)) for index in replicas.indexes]
        while not training.done:
            training.step([next(part) for part in parts])
        if replicas.main:
            training.finish()


def _known(job: TrainJob) -> dict[str, Any]:
    """Returns what the weights depend on, whatever the backend is."""
    return {
        "data": job.run.state["inputs"]["data"]["digest"],
        "classes": list(job.label_map.names),
        "preset": job.preset,
        "seed": job.seed,
    }


def _check_equal(settings: Mapping[str, Any], replicas: Replicas) -> None:
    own: dict[str, Any] = json.loads(json.dumps(settings))
    there: dict[str, Any] = json.loads(replicas.share(json.dumps(settings).encode()))
    different = [name for name in sorted(own.keys() | there.keys()) if own.get(name) != there.get(name)]
    if different:
        name = different[0]
        raise RunError(
            f"this worker trains something else than worker 0: {name} is {_short(own.get(name))} here, and "
            f"{_short(there.get(name))} there",
            "start all workers with the same command, the same data, and the same versions",
        )


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _content(state: Mapping[str, NDArray[Any]]) -> bytes:
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **state)
    return file.getvalue()


def _arrays(content: bytes) -> dict[str, NDArray[Any]]:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
