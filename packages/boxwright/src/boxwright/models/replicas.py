"""Trainings on several replicas of a model: what a backend and a trainer offer, and what every trainer does."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from boxwright.errors import RunError, UsageError
from boxwright.models.job import TrainJob


@dataclass(frozen=True)
class Shard:
    """A part of every batch, of which each replica of a model trains one.

    Attributes:
        index: From 0; the first shard has the first images of a batch.
        count: The number of shards, which are equally large.
    """

    index: int = 0
    count: int = 1

    def rows(self, batch_size: int) -> range:
        """The positions of its images in a batch; ``count`` must divide ``batch_size``."""
        size = batch_size // self.count
        return range(self.index * size, (self.index + 1) * size)


@runtime_checkable
class Replicas(Protocol):
    """Copies of a model, one on each device, that learn together; passed to :meth:`ReplicatedBackend.start`.

    After every step, all replicas have the same weights. A complete implementation, of one replica in this process, is
    :class:`boxwright.models.OneReplica`.
    """

    @property
    def count(self) -> int:
        """The number of replicas, in all processes."""
        ...

    @property
    def indexes(self) -> Sequence[int]:
        """Which of them are in this process."""
        ...

    @property
    def main(self) -> bool:
        """Whether this process evaluates, reports, and writes the run; exactly one does."""
        ...

    def scope(self) -> AbstractContextManager[Any]:
        """Variables of the framework that are made in this context have a copy in every replica."""
        ...

    def run(self, function: Callable[[Any], Any], parts: Sequence[Any]) -> Any:
        """Calls a function on every replica.

        Args:
            function: Called with one of ``parts``. What it returns must be the same on every replica, such as sums.
            parts: One for each replica of this process.

        Returns:
            What the function returned on one of them.
        """
        ...

    def sum(self, values: Any) -> Any:
        """Returns the sum over all replicas of a list of arrays or tensors; only within :meth:`run`.

        All replicas must call it with the same shapes. In a framework with automatic differentiation, it is
        differentiable.
        """
        ...

    def share(self, content: bytes) -> bytes:
        """Returns the content of the main process in every process; all processes must call it."""
        ...


@runtime_checkable
class ReplicatedTraining(Protocol):
    """A training that a trainer runs step by step on several replicas; see :class:`ReplicatedBackend`."""

    @property
    def batch_size(self) -> int:
        """The number of images per step, of all replicas together."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """JSON values, equal in all processes: what the weights depend on, besides data, preset and seed."""
        ...

    @property
    def done(self) -> bool:
        """Whether the last step has been done; it must become true in all processes after the same step."""
        ...

    def state(self) -> Mapping[str, NDArray[Any]]:
        """All that the following steps depend on: weights, the state of the optimizer, the number of steps done."""
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continues from a state, of the same training in another process."""
        ...

    def batches(self, shard: Shard) -> Iterator[Any]:
        """Yields the part of every following batch that one replica trains.

        The shards of a batch, one after another, are the batch that a single replica would train: the order of the
        images and their augmentation do not depend on the number of shards.
        """
        ...

    def step(self, parts: Sequence[Any]) -> None:
        """Trains one step, by :meth:`Replicas.run`, and evaluates and reports at the end of an epoch.

        Sums over images are sums over all replicas, and divided by numbers of the whole batch, so that any number of
        replicas results in the same weights.

        Args:
            parts: What :meth:`batches` yielded for each replica of this process.
        """
        ...

    def finish(self) -> None:
        """Writes the model to the run; called in the main process."""
        ...


@runtime_checkable
class ReplicatedBackend(Protocol):
    """A :class:`Backend` that can train on several devices or computers.

    A trainer calls :func:`boxwright.models.train_replicas`, which does the following in every process::

        with backend.start(job, replicas) as training:
            parts = [training.batches(Shard(index, replicas.count)) for index in replicas.indexes]
            while not training.done:
                training.step([next(part) for part in parts])
            if replicas.main:
                training.finish()
    """

    def start(self, job: TrainJob, replicas: Replicas) -> AbstractContextManager[ReplicatedTraining]:
        """Prepares a training, or one that is resumed; it is closed when the context is left.

        Raises:
            UsageError: The backend cannot train this on several replicas.
        """
        ...


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
