"""Trains on several computers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from boxwright import BoxwrightError, RunError, TrainJob, UsageError
from boxwright.models import Backend, OneReplica, check_replicas, train_replicas
from boxwright_tf.quiet import quiet_import
from boxwright_trainers.cluster import meet, parse_tf_config, parse_workers, take_port

_TASK = re.compile(r"/task:(\d+)")
_REPORTED = "boxwright: "
"""What begins the text that says why a worker has ended."""


class MultiWorkerTrainer:
    """Trains on several computers, each of which runs the same command; see :class:`boxwright.models.WorkerTrainer`.

    Every worker has one replica of the model on each of its GPUs, or one on its processor. Worker 0 writes the run.

    Args:
        workers: The addresses, ``host1:port,host2:port``; by default those in the variable ``TF_CONFIG``.
        index: The number of this worker; by default the one whose address is of this computer.
        timeout: How many seconds to wait until all workers have started.
    """

    def __init__(self, workers: str = "", index: int | None = None, timeout: int = 120) -> None:
        if workers:
            self._addresses = parse_workers(workers)
        else:
            self._addresses, own = parse_tf_config()
            index = own if index is None else index
        self._timeout = timeout
        self._worker, self._listener = take_port(self._addresses, index)

    @property
    def worker(self) -> int:
        """The number of this process."""
        return self._worker

    def close(self) -> None:
        """Frees the port."""
        self._listener.close()

    def train(self, backend: Backend, job: TrainJob) -> None:
        """Trains together with the other workers.

        Raises:
            UsageError: The batches cannot be divided among the replicas, or the backend is not a ``ReplicatedBackend``.
            RunError: A worker is not there, has ended, or trains something else.
        """
        count = len(self._addresses)
        check_replicas(backend, job, "multiworker", count)
        if count == 1:
            train_replicas(backend, job, OneReplica())  # type: ignore[arg-type] # checked above
            return
        with quiet_import():
            import tensorflow as tf

            from boxwright_trainers.replicas import StrategyReplicas
        tf.get_logger().setLevel("ERROR")  # it warns that `share` is slow
        meet(self._addresses, self._worker, self._listener, self._timeout, job.reporter)
        strategy = self._strategy(tf)
        with self._explained(tf, job):
            replicas = StrategyReplicas(strategy, self._worker, count)
            check_replicas(backend, job, "multiworker", replicas.count)
            job.reporter.message(f"Training as worker {self._worker} of {count}, with {replicas.count} devices in all.")
            train_replicas(backend, job, replicas)  # type: ignore[arg-type]

    def _strategy(self, tf: Any) -> Any:
        cluster = tf.train.ClusterSpec({"worker": list(self._addresses)})
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            cluster, task_type="worker", task_id=self._worker, rpc_layer="grpc"
        )
        try:
            return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
        except RuntimeError:
            raise UsageError(
                "TensorFlow has started already, and can no longer connect to other workers", "train in a new process"
            ) from None

    @contextmanager
    def _explained(self, tf: Any, job: TrainJob) -> Iterator[None]:
        """Says which worker has ended, and tells the others why this one does."""
        try:
            yield
        except tf.errors.OpError as error:
            cause = self._cause(str(error))
            if cause is None:
                self._report(f"{type(error).__name__}: {str(error).splitlines()[0]}")
                raise
            raise RunError(
                cause, f"correct what ended it, and continue on all workers with --resume: --out {job.run.path}"
            ) from error
        except BaseException as error:
            text = str(error) if isinstance(error, BoxwrightError) else f"{type(error).__name__} {error}"
            self._report("it was interrupted" if isinstance(error, KeyboardInterrupt) else text.splitlines()[0])
            raise

    def _report(self, reason: str) -> None:
        from tensorflow.python.eager import context  # there is no public name for it

        with suppress(Exception):
            context.context().report_error_to_cluster(1, f"{_REPORTED}{reason}")

    def _cause(self, text: str) -> str | None:
        """Returns which worker has ended, and why, if it has said so; ``None`` for an error of this worker."""
        found = _TASK.search(text)
        if found is None or int(found[1]) >= len(self._addresses):
            return None
        number = int(found[1])
        name = f"worker {number} ({self._addresses[number]})"
        if _REPORTED in text:
            return f"{name} has ended: {text.split(_REPORTED)[1].splitlines()[0]}"
        return f"{name} has ended, or can no longer be reached"
