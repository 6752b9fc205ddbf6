"""The exporter ``tensorrt``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from boxwright.models import Network, NetworkExporter


class TensorRTExporter(NetworkExporter):
    """``model.onnx`` for TensorRT, with suppression by its plugin, and ``network.onnx`` without it for ONNX Runtime.

    An engine can only be built on the GPU that runs it: ``build.py`` and ``build.sh`` do it there. The check runs
    ``network.onnx``, which is the same network.
    """

    model = "network.onnx"
    packages = ("onnxruntime",)
    unchecked = "model.onnx with the plugin, and the engine: they need an NVIDIA GPU. network.onnx was run instead"

    def convert(self, network: Network, folder: Path, precision: str) -> None:
        """Writes both models, the scripts, and for ``int8`` ``calibration.cache``.

        Raises:
            UsageError: The decoder of the network is Soft-NMS, has IoU thresholds by class, or keeps too many
                detections.
        """
        from boxwright_tensorrt.convert import LARGEST_TOP_K, convert

        if convert(network, folder, precision, self.calibration_images(network)):
            self.unchecked = (
                f"{type(self).unchecked}. The plugin gets the {LARGEST_TOP_K:,} best scores of an image, the most that"
                f" TensorRT's TopK returns, and the suppression of the run {network.decoder.pre_nms:,}"
            )

    @staticmethod
    def load_network(path: str) -> Any:
        """Loads the network in ONNX Runtime: on a GPU, through TensorRT if it can, or on the CPU."""
        import onnxruntime

        known = onnxruntime.get_available_providers()
        ours = [f"{name}ExecutionProvider" for name in ("Tensorrt", "CUDA", "CPU")]
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "").partition(",")[0] or 0)
        session = onnxruntime.InferenceSession(path, options, providers=[name for name in ours if name in known])
        return lambda images: session.run(["boxes", "scores"], {"images": images})
