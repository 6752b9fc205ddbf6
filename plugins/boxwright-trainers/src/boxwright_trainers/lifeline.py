"""Tells each worker within seconds that another one has ended, and why.

TensorFlow notices a closed connection at once. It does not pass on why a worker ended, and a worker that hangs, or a
computer without power, can take it a minute. So the workers keep the connections by which they have met, which are
those of worker 0, and exchange a line of JSON every second.

TensorFlow stops all threads of Python while it connects to the other workers. So silence means something only after a
worker has said that it is ready.
"""

from __future__ import annotations

import json
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

_EVERY = 1.0
SILENCE = 60.0
"""Seconds without a line after which a worker that was ready is lost."""

_LONGEST = 10_000


@dataclass(frozen=True)
class Loss:
    """The end of a worker.

    Attributes:
        worker: Its number.
        reason: What it has said about it; empty if it said nothing.
    """

    worker: int
    reason: str = ""


class Lifeline:
    """Watches the other workers in a thread.

    Args:
        worker: The number of this worker.
        connections: To others, by their numbers; they are closed in the end.
        lost: Called in the thread at the first loss.
        silence: Seconds without a line after which a worker that was ready is lost.
    """

    def __init__(
        self,
        worker: int,
        connections: Mapping[int, socket.socket],
        lost: Callable[[Loss], None],
        silence: float = SILENCE,
    ) -> None:
        self._worker, self._connections, self._lost, self._silence = worker, dict(connections), lost, silence
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._found = threading.Event()
        self._ready: set[int] = set()
        self._loss: Loss | None = None
        self._thread = threading.Thread(target=self._watch, name="boxwright-lifeline", daemon=True)
        self._thread.start()

    def ready(self) -> None:
        """Tells the others that this worker is connected, and will be silent only if it is lost."""
        self._send({"ready": True})

    def loss(self, timeout: float = 0.0) -> Loss | None:
        """Returns the first loss, after waiting for one if there is none."""
        self._found.wait(timeout)
        return self._loss

    def close(self, reason: str | None = None) -> None:
        """Ends the watch.

        Args:
            reason: Why this worker ends before its training does; ``None`` if the training is complete.
        """
        self._ended.set()
        self._thread.join()
        loss = self._loss
        if loss is None and reason is not None:
            loss = Loss(self._worker, reason)
        self._send({"end": None if loss is None else {"worker": loss.worker, "reason": loss.reason}})
        for connection in self._connections.values():
            connection.close()

    def _send(self, content: Any) -> None:
        line = json.dumps(content).encode() + b"\n"
        with self._lock:
            for connection in self._connections.values():
                with suppress(OSError):  # its end is found by reading
                    connection.sendall(line)

    def _watch(self) -> None:
        seen = dict.fromkeys(self._connections, time.monotonic())
        rests = dict.fromkeys(self._connections, b"")
        sent = 0.0
        with selectors.DefaultSelector() as selector:
            for number, connection in self._connections.items():
                connection.settimeout(_EVERY)
                selector.register(connection, selectors.EVENT_READ, number)
            while not self._ended.is_set() and seen:
                if time.monotonic() - sent >= _EVERY:
                    self._send({})
                    sent = time.monotonic()
                for key, _ in selector.select(0.2):
                    number = key.data
                    loss, done = self._read(key.fileobj, number, rests)
                    seen[number] = time.monotonic()
                    if loss is not None:
                        self._lose(loss)
                    if done or loss is not None:
                        selector.unregister(key.fileobj)
                        del seen[number]
                for number, when in list(seen.items()):
                    if number in self._ready and time.monotonic() - when > self._silence:
                        self._lose(Loss(number))
                        del seen[number]

    def _read(self, connection: Any, number: int, rests: dict[int, bytes]) -> tuple[Loss | None, bool]:
        """Returns a loss that a worker reports or has suffered, and whether it has ended."""
        try:
            content = connection.recv(4096)
        except OSError:
            content = b""
        if not content:
            return Loss(number), True
        *lines, rests[number] = (rests[number] + content)[-_LONGEST:].split(b"\n")
        for line in lines:
            try:
                said = json.loads(line)
                if "ready" in said:
                    self._ready.add(number)
                if "end" in said:
                    end = said["end"]
                    return (None if end is None else Loss(int(end["worker"]), str(end["reason"]))), True
            except (ValueError, TypeError, KeyError, RecursionError):
                continue
        return None, False

    def _lose(self, loss: Loss) -> None:
        if self._loss is not None:
            return
        self._loss = loss
        self._found.set()
        self._send({"end": {"worker": loss.worker, "reason": loss.reason}})
        self._lost(loss)
