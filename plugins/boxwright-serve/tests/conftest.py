"""A toy model, whose detections say which image they are of, and servers with it."""

from __future__ import annotations

import http.client
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import uvicorn
from PIL import Image

from boxwright import Detections, LabelMap, Sample
from boxwright.images import decode_sample
from boxwright.models import DecoderSettings
from boxwright_serve import guard
from boxwright_serve.app import create_app
from boxwright_serve.limits import Limits

LABELS = ["night", "noon"]


class ToyModel:
    """Finds one box: that of the image, with the mean of its pixels as score.

    Attributes:
        batches: The number of images of each call.
        release: What a call waits for, if it is not set.
    """

    is_raw = False

    def __init__(self, score: float | tuple[float, ...] = 0.3, seconds: float = 0.0) -> None:
        self.label_map = LabelMap.from_names(LABELS, sort=False)
        self.decoder = DecoderSettings(score_threshold=0.0, score=score)
        self.seconds = seconds
        self.batches: list[int] = []
        self.release = threading.Event()
        self.release.set()
        self.fail: Exception | None = None

    def with_decoder(self, decoder: DecoderSettings) -> ToyModel:
        raise NotImplementedError

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        given = list(samples)
        self.batches.append(len(given))
        self.release.wait(30)
        time.sleep(self.seconds)
        if self.fail is not None:
            raise self.fail
        for sample in given:
            image = decode_sample(sample).image
            mean = float(np.asarray(image).mean()) / 255
            label = LABELS[int(mean >= 0.5)]
            box = [[1.25, 2.5, image.width, image.height]]
            yield Detections.from_arrays(sample.image, [label], np.array(box), [mean])


def _encoded(width: int, height: int, level: int = 128, kind: str = "PNG", orientation: int = 1) -> bytes:
    """Returns an image of one gray level."""
    buffer, drawn = io.BytesIO(), Image.new("RGB", (width, height), (level,) * 3)
    exif = drawn.getexif()
    exif[0x0112] = orientation
    drawn.save(buffer, kind, exif=exif)
    return buffer.getvalue()


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    """A server in a thread of this process."""

    app: Any
    port: int = 0
    server: uvicorn.Server = field(init=False)

    def __enter__(self) -> Server:
        self.server = uvicorn.Server(uvicorn.Config(self.app, lifespan="on", ws="none", log_config=None))
        bound = socket.create_server(("127.0.0.1", 0))
        self.port = bound.getsockname()[1]
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [bound]})
        self.thread.start()
        while not self.server.started:
            time.sleep(0.005)
        return self

    def __exit__(self, *error: object) -> None:
        self.server.should_exit = True
        self.thread.join(20)
        assert not self.thread.is_alive()

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def predict(self, body: Any, query: str = "", **headers: str) -> Answer:
        return self.ask("POST", f"/predict{query}", body, {name.replace("_", "-"): v for name, v in headers.items()})


@pytest.fixture(scope="session")
def encoded() -> Callable[..., bytes]:
    return _encoded


@pytest.fixture(scope="session")
def toy() -> type[ToyModel]:
    return ToyModel


@pytest.fixture(scope="session")
def server_of() -> type[Server]:
    """``with server_of(app) as server`` serves an application; ``server_of(app, port)`` asks a server that runs."""
    return Server


@pytest.fixture
def model() -> ToyModel:
    return ToyModel()


@pytest.fixture
def serve(model: ToyModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    """``serve(limits=..., token=...)`` starts a server with the toy model."""
    monkeypatch.setattr(guard, "DISCARD_SECONDS", 3600.0)  # what waits for it in vain fails
    started: list[Server] = []

    def start(limits: Limits | None = None, other: ToyModel | None = None, **options: Any) -> Server:
        server = Server(create_app(other or model, name="toy", limits=limits, **options))
        started.append(server.__enter__())
        return server

    yield start
    model.release.set()
    for server in started:
        server.__exit__()
