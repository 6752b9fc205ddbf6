"""The connection to a Ray cluster, which the engine and the trainer share."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from boxwright import EngineError

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports to its authors otherwise
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else Ray warns of a change of its next version

import ray as ray  # the others import it from here, after these settings

_PATIENCE = 10.0
_START = "start one with `ray start --head`, and pass the address that it prints"
INSTALL = "install the same versions of Python, boxwright, its plugins and their libraries on every machine"


class Connection:
    """A connection to a cluster, or one that the program has already.

    Args:
        address: ``HOST:PORT`` of the head, or ``"auto"`` for a cluster that runs on this machine. ``None`` for
            ``RAY_ADDRESS``, or else a cluster that runs on this machine, or else one that is started for this work.

    Raises:
        EngineError: There is no cluster at that address.
    """

    def __init__(self, address: str | None) -> None:
        self._own = not ray.is_initialized()
        if self._own:
            _connect(address)

    def close(self) -> None:
        """Leaves the cluster, and ends one that was started for this work, unless the program was connected before."""
        if self._own and ray.is_initialized():
            ray.shutdown()


def resources() -> list[Mapping[str, float]]:
    """Returns what each machine of the cluster has, such as ``{"CPU": 16.0, "GPU": 2.0}``."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def too_small(cpus: float, gpus: float) -> EngineError:
    """Returns the error if no machine has enough cores or GPUs."""
    more = f" and {gpus:g} GPUs" if gpus else ""
    return EngineError(f"no machine of the Ray cluster has {cpus:g} cores{more}", "set cpus or gpus to less")


def _connect(address: str | None) -> None:
    place = urlsplit(f"//{address or os.environ.get('RAY_ADDRESS') or ''}")
    try:
        if place.hostname and place.port:  # Ray itself would try for ten minutes
            socket.create_connection((place.hostname, place.port), timeout=_PATIENCE).close()
            os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "1")
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    except Exception as error:  # Ray raises that class itself, for a start that takes too long
        where = f"there is no Ray cluster at {address}" if address else "no Ray cluster could be reached or started"
        raise EngineError(f"{where}: {first_line(error)}", _START) from None


def cause(error: Exception) -> str:
    """Returns the last line of an error, which is the original one."""
    return str(error).strip().splitlines()[-1]


def first_line(error: Any) -> str:
    """Returns the first line of an error."""
    return str(error).strip().splitlines()[0]
