"""Trains on several computers."""

from __future__ import annotations

import atexit
import faulthandler
import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from boxwright import BoxwrightError, RunError, TrainJob, UsageError, WorkerDiedError
from boxwright.models import Backend, OneReplica, check_replicas, train_replicas
from boxwright_tf.quiet import quiet_import
from boxwright_trainers.cluster import meet, parse_tf_config, parse_workers, take_port
from boxwright_trainers.lifeline import Lifeline, Loss

_TASK = re.compile(r"/task:(\d+)")
_PATIENCE = 5.0
"""Seconds."""

_REMEDY = "correct what ended it, and continue: start the same command with --resume on all workers"


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
        self._over = threading.Event()
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
            RunError: A worker is not there, has ended with an error, or trains something else.
            WorkerDiedError: A worker can no longer be reached.
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
        connections = meet(self._addresses, self._worker, self._listener, self._timeout, job.reporter)
        lifeline = Lifeline(self._worker, connections, partial(self._stop, tf, job))
        with self._explained(tf, lifeline):
            strategy = self._strategy(tf)
            lifeline.ready()
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
    def _explained(self, tf: Any, lifeline: Lifeline) -> Iterator[None]:
        """Says which worker has ended, and tells the others why this one does."""
        reason = "it has ended"
        try:
            yield
            reason = ""
        except tf.errors.OpError as error:
            loss = lifeline.loss(_PATIENCE) or _named(str(error))
            reason = f"{type(error).__name__}: {_first_line(error)}"
            if loss is None or loss.worker == self._worker:
                raise
            raise self._error(loss) from error
        except BaseException as error:
            loss = lifeline.loss()
            if loss is not None:
                raise self._error(loss) from error
            reason = "it was interrupted" if isinstance(error, KeyboardInterrupt) else _first_line(error)
            raise
        finally:
            self._over.set()
            lifeline.close(reason or None)

    def _error(self, loss: Loss) -> BoxwrightError:
        name = f"worker {loss.worker} ({self._addresses[loss.worker % len(self._addresses)]})"
        if loss.reason:
            return RunError(f"{name} has ended: {loss.reason}", _REMEDY)
        return WorkerDiedError(f"{name} has ended, or can no longer be reached", _REMEDY)

    def _stop(self, tf: Any, job: TrainJob, loss: Loss) -> None:
        """Ends the operation that waits for a lost worker, or else this process; called in another thread."""

        def abort() -> None:
            from tensorflow.python.eager import context  # there is no public name for it

            with suppress(Exception):
                context.context().abort_collective_ops(tf.errors.UNAVAILABLE, self._error(loss).message)

        threading.Thread(target=abort, daemon=True).start()  # it may wait for TensorFlow to start
        if not self._over.wait(_PATIENCE):
            # TensorFlow still waits, for example for the servers of the others.
            error = self._error(loss)
            job.run.update(status="failed", error=repr(error))
            os.write(2, f"Error: {error}\n".encode())
            os._exit(error.exit_code)
        atexit.register(_end_soon)


def _end_soon() -> None:
    """Ends this process, which can take TensorFlow a minute: with status 1, or else by a signal."""
    faulthandler.dump_traceback_later(_PATIENCE, exit=True, file=Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(2 * int(_PATIENCE))


def _named(text: str) -> Loss | None:
    found = _TASK.search(text)
    return Loss(int(found[1])) if found else None


def _first_line(error: BaseException) -> str:
    text = str(error) if isinstance(error, BoxwrightError) else f"{type(error).__name__} {error}"
    return text.splitlines()[0]
