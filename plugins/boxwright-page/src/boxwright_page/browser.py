"""Pages in a browser without a window, without network: Chromium or Chrome, driven by Playwright.

Playwright's objects belong to one thread and must not be used where an event loop runs, as in a notebook. All of them
therefore live in one thread of this module, which is started by the first page.
"""

from __future__ import annotations

import base64
import io
import os
import shutil
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from boxwright import Detections, LabelMap, RunError, Sample, scale
from boxwright.images import decode_sample
from boxwright.models import ChosenModel, DecoderSettings, InputSettings

T = TypeVar("T")

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
_ARGUMENTS = (
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
_SHOWN = ("jpeg", "png", "webp", "bmp", "gif")
"""Formats that every browser decodes."""
_TIMEOUT = 120_000
_DETECT = """async (text) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return await detect(new Blob([bytes]));
}"""


class BrowserModel:
    """A page as a model: images go in as files, as a user would choose them.

    Args:
        page: The page.
        label_map: Its classes.
        inputs: How an image becomes the input, for images in formats that browsers do not decode.
        decoder: How the page chooses detections.

    Raises:
        RunError: The page cannot be run.
    """

    is_raw = False

    def __init__(self, page: Path, label_map: LabelMap, inputs: InputSettings, decoder: DecoderSettings) -> None:
        self.label_map = label_map
        self.decoder = decoder
        self._inputs = inputs
        self._path = page
        self._page = _called(lambda: _open(page))
        weakref.finalize(self, _close, self._page).atexit = False  # at exit, the driver ends the browser

    def with_decoder(self, decoder: DecoderSettings) -> ChosenModel:
        """Returns the model with another choice among the detections of the page."""
        return ChosenModel(self, decoder)

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        """Yields one ``Detections`` per sample, in order; images run through the page one by one.

        Raises:
            DataError: An image cannot be read.
            RunError: The page failed.
        """
        for sample in samples:
            # Small: only its size and orientation are needed. The page decodes the file itself.
            decoded = decode_sample(sample.replace(boxes=()), at_least=(1, 1))
            found = self._detect(self._encoded(sample, decoded.header.format))
            kept = [each for each in found["detections"] if each["score"] >= score]
            factors = decoded.image.width / found["width"], decoded.image.height / found["height"]
            boxes = np.array([each["box"] for each in kept], np.float64).reshape(-1, 4)
            xyxy = decoded.to_annotation(scale(boxes, *factors))
            scores = np.array([each["score"] for each in kept], np.float64)
            yield Detections.from_arrays(sample.image, [each["label"] for each in kept], xyxy, scores)

    def _encoded(self, sample: Sample, kind: str) -> bytes:
        if kind in _SHOWN:
            return sample.image.read()
        buffer = io.BytesIO()
        decode_sample(sample.replace(boxes=()), at_least=self._inputs.reduced_size).image.save(buffer, "PNG")
        return buffer.getvalue()

    def _detect(self, image: bytes) -> Any:
        text = base64.b64encode(image).decode("ascii")
        try:
            return _called(lambda: self._page.evaluate(_DETECT, text))
        except Exception as error:  # whatever the driver raises
            raise RunError(f"{self._path} failed: {_first_line(error)}", "open it in a browser to examine it") from None


def find_browser() -> str | None:
    """Returns the path of a browser: Playwright's own Chromium, or one of the system."""
    return _called(_path)


def open_page(path: Path, **options: Any) -> Any:
    """Opens a page without network, and returns Playwright's page once it is loaded; for use inside :func:`call`.

    Args:
        path: The page.
        options: Of Playwright's ``new_context``, such as ``color_scheme="dark"``.
    """
    context = _browser().new_context(offline=True, **options)
    page = context.new_page()
    page.set_default_timeout(_TIMEOUT)
    page.goto(path.resolve().as_uri())
    return page


def call(function: Callable[[], T]) -> T:
    """Runs a function in the thread of the browser, and returns its result."""
    return _called(function)


def _open(path: Path) -> Any:
    try:
        page = open_page(path)
        page.evaluate("ready")
    except Exception as error:  # whatever the driver raises
        raise RunError(f"{path} does not run in a browser: {_first_line(error)}", "export the model again") from None
    return page


def _close(page: Any) -> None:
    """Closes a page later, in its thread."""
    _thread().submit(lambda: page.context.close())


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "boxwright-browser")


def _called(function: Callable[[], T]) -> T:
    return _thread().submit(function).result()


@cache
def _driver() -> Any:
    from playwright.sync_api import sync_playwright

    return sync_playwright().start()


@cache
def _browser() -> Any:
    # Chromium's sandbox needs namespaces, which root and containers often do not have.
    sandbox = [] if hasattr(os, "geteuid") and os.geteuid() else ["--no-sandbox"]
    return _driver().chromium.launch(executable_path=_path(), args=[*_ARGUMENTS, *sandbox])


@cache
def _path() -> str | None:
    own = str(_driver().chromium.executable_path)
    return own if os.path.isfile(own) else next(filter(None, map(shutil.which, _PROGRAMS)), None)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
