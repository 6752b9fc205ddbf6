"""The exporter ``openvino``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from boxwright.models import Network, NetworkExporter


class OpenVINOExporter(NetworkExporter):
    """``model.xml`` and ``model.bin``: boxes and scores of all anchors, for any backend that offers its network.

    ``fp16`` stores the weights in half precision, which halves the file; ``int8`` computes convolutions in int8.
    """

    model = "model.xml"
    packages = ("openvino",)

    def convert(self, network: Network, folder: Path, precision: str) -> None:
        """Writes ``model.xml`` and ``model.bin``."""
        from boxwright_openvino.convert import convert

        convert(network, folder / self.model, precision, self.calibration_images(network))

    @staticmethod
    def load_network(path: str) -> Any:
        """Loads a model in OpenVINO, which otherwise computes in bfloat16 if the CPU can."""
        import openvino

        core = openvino.Core()
        model = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return lambda images: [model(images)[name] for name in ("boxes", "scores")]
