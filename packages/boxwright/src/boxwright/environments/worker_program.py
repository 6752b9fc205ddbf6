"""What a worker runs: reads calls from stdin, answers on stdout, one JSON object a line; see ``worker.py``.

It runs where boxwright is not installed, and so imports nothing of it, and nothing but the standard library::

    python worker_program.py [FOLDER_OF_A_PACKAGE]

A call names ``"module:function"`` of that package, whose functions take a :class:`Connection` and keyword arguments.
Whatever they print goes to stderr, so that nothing but answers is on stdout.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import os
import queue
import signal
import sys
import threading
import traceback
from typing import Any

_HEARTBEAT = 5.0
_PACKAGE = "boxwright_worker"


class RefusalError(Exception):
    """An answer to a user, not a bug.

    Args:
        message: The problem.
        remedy: What to do.
        kind: ``"usage"`` for what the user asked for, ``"run"`` for what was found.
    """

    def __init__(self, message: str, remedy: str = "", kind: str = "run") -> None:
        super().__init__(message)
        self.message, self.remedy, self.kind = message, remedy, kind


class Connection:
    """The way back to the parent."""

    Refusal = RefusalError

    def __init__(self, channel: Any) -> None:
        self._channel, self._lock = channel, threading.Lock()

    def event(self, name: str, **values: Any) -> None:
        """Tells the parent something; numbers that are not finite go as ``null``."""
        self.send({"event": name, **values})

    def message(self, text: str) -> None:
        """Something that a person should read."""
        self.event("message", text=text)

    def warning(self, text: str) -> None:
        """Something that a person should look at."""
        self.event("warning", text=text)

    def send(self, answer: dict[str, Any]) -> None:
        """Sends one object."""
        line = json.dumps(_plain(answer), allow_nan=False, default=str) + "\n"
        with self._lock:
            self._channel.write(line.encode())
            self._channel.flush()


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value


def import_modules(connection: Connection, names: list[str]) -> None:
    """The built-in call: imports modules, after the package's ``prepare`` module if it has one."""
    if _PACKAGE in sys.modules and importlib.util.find_spec(f"{_PACKAGE}.prepare") is not None:
        importlib.import_module(f"{_PACKAGE}.prepare")
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            traceback.print_exc()
            raise RefusalError(f"{name} cannot be imported: {type(error).__name__}: {error}") from None


def main() -> None:
    """Answers calls until stdin ends."""
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries print, and stdout is for answers
    requests = os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    connection = Connection(channel)
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    for target in (lambda: _listen(requests, calls), lambda: _live(connection)):
        threading.Thread(target=target, daemon=True).start()
    if len(sys.argv) > 1:
        _load_package(sys.argv[1])
    while True:
        _answer(connection, json.loads(calls.get()))


def _listen(requests: Any, calls: queue.SimpleQueue[bytes]) -> None:
    for line in requests:
        calls.put(line)
    _end()


def _live(connection: Connection) -> None:
    pause = threading.Event()
    while not pause.wait(_HEARTBEAT):
        try:
            connection.send({"alive": True})
        except OSError:
            _end()


def _end() -> None:
    """The parent is gone, or wants no more: there is nothing to put in order, and nobody to tell."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


def _load_package(folder: str) -> None:
    # Under a private name: the plugin's own package imports boxwright, which is not installed here.
    where = os.path.join(folder, "__init__.py")
    spec = importlib.util.spec_from_file_location(_PACKAGE, where, submodule_search_locations=[folder])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[_PACKAGE] = module
    spec.loader.exec_module(module)


def _answer(connection: Connection, request: dict[str, Any]) -> None:
    try:
        module, _, name = request["call"].rpartition(":")
        function = getattr(importlib.import_module(f"{_PACKAGE}.{module}"), name) if module else globals()[name]
        connection.send({"result": function(connection, **request["arguments"])})
    except RefusalError as error:
        connection.send({"error": error.message, "remedy": error.remedy, "kind": error.kind})
    except Exception as error:
        traceback.print_exc()
        connection.send({"error": f"{type(error).__name__}: {error}", "kind": "bug"})


if __name__ == "__main__":
    main()
