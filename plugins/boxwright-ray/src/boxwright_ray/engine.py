"""The engine ``ray``."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from boxwright import EngineError, WorkerDiedError
from boxwright.datasets import Work
from boxwright_ray.cluster import INSTALL, Connection, cause, first_line, ray, resources, too_small

_AHEAD = 3


class RayEngine:
    """Runs pieces of work as tasks of a Ray cluster.

    A task whose worker or node is lost is done again elsewhere by Ray, as is a task whose result is lost with a node.

    Args:
        address: ``HOST:PORT`` of the head, or ``"auto"`` for a cluster that runs on this machine. ``None`` for
            ``RAY_ADDRESS``, or else a cluster that runs on this machine, or else one that is started for this work.
        cpus: Cores for each piece.
        gpus: GPUs for each piece.
        retries: How often a piece that was lost is done again.

    Raises:
        EngineError: There is no cluster at that address, or no machine with that many cores.
    """

    def __init__(self, address: str | None = None, cpus: float = 1.0, gpus: float = 0.0, retries: int = 3) -> None:
        self._cpus, self._gpus = cpus, gpus
        self._connection = Connection(address)
        # Sent as code, because `boxwright_ray` need not be installed on the machines.
        task: Callable[[Any, int, int], Any] = lambda errand, start, stop: errand(start, stop)  # noqa: E731
        task.__module__ = "__main__"
        self._task = ray.remote(
            num_cpus=cpus, num_gpus=gpus, max_retries=retries, scheduling_strategy="SPREAD", retry_exceptions=False
        )(task)
        self._retries = retries
        if not self._slots():
            self.close()
            raise too_small(cpus, gpus)

    def _slots(self) -> int:
        """Returns how many pieces can run at the same time."""
        return sum(
            min(
                int(each.get("CPU", 0) / self._cpus),
                int(each.get("GPU", 0) / self._gpus) if self._gpus else 1 << 30,
            )
            for each in resources()
        )

    def results(self, work: Work, pieces: Iterable[tuple[int, int]]) -> Iterator[Any]:
        """Yields the results of the pieces, in order; see :class:`boxwright.datasets.Engine`."""
        errand = ray.put(work)
        left = iter(pieces)
        waiting: deque[Any] = deque()
        ahead = 0
        try:
            while True:
                if not waiting or len(waiting) < ahead:
                    ahead = _AHEAD * self._slots()  # machines may have joined
                while len(waiting) < max(ahead, 1) and (piece := next(left, None)) is not None:
                    waiting.append(self._task.remote(errand, *piece))
                if not waiting:
                    return
                yield self._value(waiting.popleft())
        finally:
            for reference in waiting:
                ray.cancel(reference, force=True)

    def _value(self, reference: Any) -> Any:
        exceptions = ray.exceptions
        try:
            return ray.get(reference)
        except exceptions.OutOfMemoryError as error:
            raise WorkerDiedError(
                f"a machine of the Ray cluster ran out of memory: {first_line(error)}",
                "let fewer pieces run there at the same time: --engine ray:cpus=2",
            ) from None
        except (exceptions.WorkerCrashedError, exceptions.NodeDiedError, exceptions.ObjectLostError) as error:
            raise WorkerDiedError(
                f"a piece of the work was lost {self._retries + 1} times: {first_line(error)}",
                "look into the logs of the cluster, or allow more: --engine ray:retries=10",
            ) from None
        except exceptions.RayError as error:
            raise EngineError(f"the Ray cluster failed: {cause(error)}", INSTALL) from None

    def close(self) -> None:
        """Leaves the cluster, and ends one that was started for this work."""
        self._connection.close()
