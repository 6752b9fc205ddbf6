"""The engine ``ray``."""

from __future__ import annotations

import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from boxwright import EngineError, WorkerDiedError
from boxwright.datasets import Work

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports to its authors otherwise
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else Ray warns of a change of its next version

import ray
from ray import exceptions

_AHEAD = 3
_PATIENCE = 10.0
_START = "start one with `ray start --head`, and pass the address that it prints"
_INSTALL = "install the same versions of Python, boxwright, its plugins and their libraries on every machine"


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
        self._connected = not ray.is_initialized()
        if self._connected:
            _connect(address)
        # Sent as code, because `boxwright_ray` need not be installed on the machines.
        task: Callable[[Any, int, int], Any] = lambda errand, start, stop: errand(start, stop)  # noqa: E731
        task.__module__ = "__main__"
        self._task = ray.remote(
            num_cpus=cpus, num_gpus=gpus, max_retries=retries, scheduling_strategy="SPREAD", retry_exceptions=False
        )(task)
        self._retries = retries
        if not self._slots():
            self.close()
            gpu = f" and {gpus:g} GPUs" if gpus else ""
            raise EngineError(f"no machine of the Ray cluster has {cpus:g} cores{gpu}", "set cpus or gpus to less")

    def _slots(self) -> int:
        """Returns how many pieces can run at the same time."""
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return sum(
            min(
                int(each.get("CPU", 0) / self._cpus),
                int(each.get("GPU", 0) / self._gpus) if self._gpus else 1 << 30,
            )
            for each in nodes
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
        try:
            return ray.get(reference)
        except exceptions.OutOfMemoryError as error:
            raise WorkerDiedError(
                f"a machine of the Ray cluster ran out of memory: {_first_line(error)}",
                "let fewer pieces run there at the same time: --engine ray:cpus=2",
            ) from None
        except (exceptions.WorkerCrashedError, exceptions.NodeDiedError, exceptions.ObjectLostError) as error:
            raise WorkerDiedError(
                f"a piece of the work was lost {self._retries + 1} times: {_first_line(error)}",
                "look into the logs of the cluster, or allow more: --engine ray:retries=10",
            ) from None
        except exceptions.RayError as error:
            raise EngineError(f"the Ray cluster failed: {_cause(error)}", _INSTALL) from None

    def close(self) -> None:
        """Leaves the cluster, and ends one that was started for this work."""
        if self._connected and ray.is_initialized():
            ray.shutdown()


def _connect(address: str | None) -> None:
    place = urlsplit(f"//{address or os.environ.get('RAY_ADDRESS') or ''}")
    try:
        if place.hostname and place.port:  # Ray itself would try for ten minutes
            socket.create_connection((place.hostname, place.port), timeout=_PATIENCE).close()
            os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "1")
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    except Exception as error:  # Ray raises that class itself, for a start that takes too long
        where = f"there is no Ray cluster at {address}" if address else "no Ray cluster could be reached or started"
        raise EngineError(f"{where}: {_first_line(error)}", _START) from None


def _cause(error: Exception) -> str:
    """Returns the last line of an error, which is the original one."""
    return str(error).strip().splitlines()[-1]


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
