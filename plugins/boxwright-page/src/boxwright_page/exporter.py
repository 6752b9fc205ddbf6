"""The exporter ``page``."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from boxwright import MissingLibraryError, UsageError
from boxwright.models import Limits, Network, NetworkExporter, models_trusted, read_settings, untrusted_model

_DRIVER = 'python -m pip install "boxwright-page[browser]"'


class PageExporter(NetworkExporter):
    """``detector.html``: network, runtime, preprocessing and decoder in one page, for any backend.

    ``int8`` computes convolutions in int8. The check of an export runs the page in a browser without a window where one
    is installed; else the network runs in ONNX Runtime, and the check does not cover the page. A page is a program: one
    that was exported before runs in a browser only if the user trusts it.
    """

    model = "detector.html"
    packages = ("onnxruntime",)
    limits: ClassVar = {"fp32": Limits(0.95, 0.02, 0.25, 0.1)}
    """Those of ``fp16`` for single detections: a browser decodes the colors of a large JPEG differently."""
    _own: Path | None = None
    """The page that this exporter wrote."""

    def convert(self, network: Network, folder: Path, precision: str) -> None:
        """Writes ``detector.html``.

        Raises:
            MissingLibraryError: This installation does not contain ONNX Runtime Web, and npm is not installed.
            DataError: It cannot be downloaded.
        """
        from boxwright_page.convert import convert

        content = convert(network, precision, self.calibration_images(network))
        (folder / self.model).write_text(content, "utf-8", newline="")
        self._own = folder / self.model

    def load(self, artifact: Path, device: str = "") -> Any:
        """Loads a page in a browser.

        Args:
            artifact: The page in its folder.
            device: ``BROWSER``, or ``CPU`` for its network in ONNX Runtime; by default a browser if one is installed
                and the page may run.

        Raises:
            UsageError: No browser was found.
            MissingLibraryError: The driver of browsers is not installed.
            DataError: A file is missing or damaged, or the page is not trusted.
            RunError: The page cannot be run.
        """
        model = super().load(artifact)  # also where it runs in a browser: it shows that the page is complete
        self.unchecked = ""
        trusted = artifact == self._own or models_trusted()
        if device and device != "CPU" and not trusted:
            raise untrusted_model(artifact, "a page is a program, which a browser would run")
        if device == "CPU" or not trusted:
            return model
        missing = _missing()
        if missing is None:
            from boxwright_page.browser import BrowserModel

            return BrowserModel(artifact, *read_settings(artifact.parent))
        if device:
            raise missing
        self.unchecked = (
            f"the page itself: {missing.message} ({missing.remedy}). Its network was run in ONNX Runtime, with"
            " preprocessing and decoder in Python"
        )
        return model

    @staticmethod
    def load_network(path: str) -> Any:
        """Loads the network of a page in ONNX Runtime."""
        import base64
        import gzip

        import onnxruntime

        text = Path(path).read_text("utf-8").partition('id="model">')[2].partition("<")[0]
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "").partition(",")[0] or 0)
        model = gzip.decompress(base64.b64decode(text))
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return lambda images: session.run(["boxes", "scores"], {"images": images})


def _missing() -> MissingLibraryError | UsageError | None:
    """Returns what is missing to run a page in a browser."""
    if find_spec("playwright") is None:
        return MissingLibraryError("the driver of browsers is not installed", _DRIVER)
    from boxwright_page.browser import find_browser

    if find_browser() is None:
        return UsageError("no Chromium or Chrome was found", "install one of them, or run: playwright install chromium")
    return None
