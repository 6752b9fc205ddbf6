"""Replicas of a model by a strategy of ``tf.distribute``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, cast

import numpy as np
import tensorflow as tf


class StrategyReplicas:
    """The replicas of a strategy; see :class:`boxwright.models.Replicas`.

    Args:
        strategy: A ``MirroredStrategy`` or a ``MultiWorkerMirroredStrategy``.
        worker: The number of this process.
        workers: The number of processes.
    """

    def __init__(self, strategy: Any, worker: int = 0, workers: int = 1) -> None:
        self._strategy = strategy
        self._workers = workers
        self.count: int = strategy.num_replicas_in_sync
        here = self.count // workers
        self.indexes = range(worker * here, (worker + 1) * here)
        self.main = worker == 0

    def scope(self) -> AbstractContextManager[Any]:
        """The strategy's own."""
        return cast("AbstractContextManager[Any]", self._strategy.scope())

    def run(self, function: Callable[[Any], Any], parts: Sequence[Any]) -> Any:
        """Calls a function on every replica, in the context of its device."""

        def one() -> Any:
            context = tf.distribute.get_replica_context()
            index = int(tf.get_static_value(context.replica_id_in_sync_group))
            return function(parts[index - self.indexes.start])

        results = self._strategy.run(one)
        return tf.nest.map_structure(lambda value: self._strategy.experimental_local_results(value)[0], results)

    def sum(self, values: Any) -> Any:
        """Returns the sum over all replicas of a list of tensors or arrays, in the same form."""
        # Without `identity`, a tensor without a device is not accepted.
        tensors = [tf.identity(value) for value in values]
        sums = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tensors)
        return [
            total.numpy() if isinstance(value, np.ndarray) else total for value, total in zip(values, sums, strict=True)
        ]

    def share(self, content: bytes) -> bytes:
        """Returns the content of worker 0."""
        if self._workers == 1:
            return content
        # Collective operations add numbers, and those of the other workers are zeros.
        own = np.frombuffer(content + bytes(-len(content) % 4), np.int32) if self.main else np.zeros(0, np.int32)
        length, words = (int(number) for number in self._added(np.array([len(content) * self.main, len(own)])))
        total = self._added(own if self.main else np.zeros(words, np.int32)) if words else own
        return cast("bytes", total.tobytes()[:length])

    def _added(self, numbers: Any) -> Any:
        def one() -> Any:
            mine = tf.distribute.get_replica_context().replica_id_in_sync_group == self.indexes.start
            return self.sum([numbers if mine else np.zeros_like(numbers)])

        return self._strategy.experimental_local_results(self._strategy.run(one)[0])[0]
