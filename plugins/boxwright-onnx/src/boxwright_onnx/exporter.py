"""The exporter ``onnx``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from boxwright.models import Network, NetworkExporter


class ONNXExporter(NetworkExporter):
    """``model.onnx``: images in, detections out, for any backend that offers its network.

    ``fp16`` stores the weights in half precision, which halves the file; the arithmetic stays float32. ``int8``
    computes convolutions in int8.
    """

    model = "model.onnx"
    packages = ("onnxruntime",)
    suppresses = True

    def convert(self, network: Network, folder: Path, precision: str) -> None:
        """Writes ``model.onnx``.

        Raises:
            UsageError: The decoder of the network is Soft-NMS.
        """
        from boxwright_onnx.convert import convert

        (folder / self.model).write_bytes(convert(network, precision, self.calibration_images(network)))

    @staticmethod
    def load_network(path: str) -> Any:
        """Loads a model in ONNX Runtime."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "").partition(",")[0] or 0)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return lambda images: session.run(["boxes", "scores", "classes"], {"images": images})
