"""The exporter ``onnx``, and its artifacts as models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boxwright import Run, RunError
from boxwright.models import DecoderSettings, Found, PortableModel, open_network, read_settings, write_settings

MODEL = "model.onnx"


class ONNXExporter:
    """``model.onnx``: images in, detections out, for any backend that offers its network.

    ``fp16`` stores the weights in half precision, which halves the file; the arithmetic stays float32.
    """

    def export(self, run: Run, out: Path, precision: str = "") -> Path:
        """Converts the network of a run.

        Raises:
            UsageError: The backend of the run does not offer its networks, or its decoder is Soft-NMS.
            RunError: The run has no model yet.
        """
        from boxwright_onnx.convert import convert

        with open_network(run) as network:
            (out / MODEL).write_bytes(convert(network, precision or "fp32"))
            write_settings(network, out)
        return out / MODEL

    def load(self, artifact: Path) -> PortableModel:
        """Loads an artifact in ONNX Runtime.

        Raises:
            DataError: A file is missing or damaged.
            RunError: ONNX Runtime cannot run the model.
        """
        label_map, inputs, decoder = read_settings(artifact.parent)
        return PortableModel(label_map, inputs, _Session(artifact, decoder))


class _Session:
    """A model in ONNX Runtime."""

    def __init__(self, path: Path, decoder: DecoderSettings) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = os.cpu_count() or 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no common class
            raise RunError(f"ONNX Runtime cannot run {path}: {error}", "export the model again") from error
        self._most = decoder.max_detections

    def __call__(self, images: NDArray[np.float32]) -> Found:
        outputs: list[Any] = self._session.run(["boxes", "scores", "classes"], {"images": images})
        best = np.argsort(-outputs[1], kind="stable")[: self._most]
        return Found(*(output[best] for output in outputs))
