"""The server process: its socket, the model, and the shutdown."""

from __future__ import annotations

import gc
import io
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from PIL import Image

from boxwright import ImageRef, Sample, UsageError
from boxwright.models import Model
from boxwright_serve.guard import LOOPBACK

MIN_TOKEN = 16
"""The length of the shortest token."""
_SHUTDOWN_SECONDS = 30
_KEEP_ALIVE_SECONDS = 30


def check_access(host: str, token: str) -> None:
    """Checks that other machines need a token.

    Raises:
        UsageError: Other machines can reach the host and no token is given, or the token is too short.
    """
    make = 'create one: python -c "import secrets; print(secrets.token_urlsafe())"'
    if host.lower() not in LOOPBACK and not token:
        remedy = f"pass --token, or set BOXWRIGHT_SERVE_TOKEN; {make}"
        raise UsageError(f"other machines can reach {host}, so that clients need a token", remedy)
    if token and (len(token) < MIN_TOKEN or not token.isascii() or not token.isprintable() or " " in token):
        raise UsageError(f"the token is not at least {MIN_TOKEN} printable ASCII characters without spaces", make)


def bound_socket(host: str, port: int) -> socket.socket:
    """Returns a socket at an address, whose connections wait until the server runs.

    Raises:
        UsageError: The host is unknown, or the port is in use or reserved.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError) as error:
        raise UsageError(f"the host {host!r} is unknown: {error}", "pass a local address") from None
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # on Windows, two programs could have the same port
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen()
    except OSError as error:
        found.close()
        remedy = "end the program that uses it, or pass --port with another one; --port 0 chooses a free one"
        raise UsageError(f"{host}:{port}: {error.strerror or error}", remedy) from None
    return found


def address_of(bound: socket.socket, host: str) -> str:
    """Returns the address of a server."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{bound.getsockname()[1]}"


def warm_up(model: Model) -> None:
    """Predicts a gray image, because many frameworks compile the network for the first one.

    Raises:
        BoxwrightError: The model does not work.
    """
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "gray").save(buffer, "JPEG")
    image = ImageRef(name="warm-up", width=64, height=64, data=buffer.getvalue())
    list(model.predict([Sample(image=image)], batch_size=1))


def run(app: Any, bound: socket.socket, started: Callable[[], None], *, log: bool = False) -> int:
    """Serves until SIGINT or SIGTERM, and finishes the requests that are in progress.

    Args:
        app: The ASGI application.
        bound: Its socket.
        started: Called when connections are accepted.
        log: Whether each request is logged.

    Returns:
        The number of requests that were not finished in time, or because of a second signal.
    """
    server = _Server(
        uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="on",
            log_config=None,
            log_level=logging.INFO if log else logging.WARNING,
            access_log=log,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        ),
        started,
    )
    # What was loaded stays, and need not be searched for cycles; Python's defaults find those of requests in time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 10, 10)
    with _ended_by_signals():
        server.run(sockets=[bound])
    return server.unfinished


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready
        self.unfinished = 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        tasks = list(self.server_state.tasks)
        await super().shutdown(sockets)
        self.unfinished = sum(task.cancelling() > 0 or not task.done() for task in tasks)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Makes SIGINT and SIGTERM a normal end: uvicorn raises them again after its shutdown."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
