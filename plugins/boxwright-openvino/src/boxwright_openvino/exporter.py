"""The exporter ``openvino``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from boxwright import UsageError
from boxwright.models import Model, Network, NetworkExporter


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

    def load(self, artifact: Path, device: str = "") -> Model:
        """Loads an artifact in OpenVINO.

        Raises:
            UsageError: This computer has no such device.
            DataError: A file is missing or damaged.
            RunError: OpenVINO cannot run the model.
        """
        if device and device != "AUTO":
            import openvino

            available = openvino.Core().available_devices
            if device not in {each.partition(".")[0] for each in available}:
                raise UsageError(
                    f"OpenVINO finds no {device} on this computer", f"use one of: {', '.join(available)}, AUTO"
                )
        return super().load(artifact, device=device)

    @staticmethod
    def load_network(path: str, device: str = "CPU") -> Any:
        """Loads a model in OpenVINO, whose default on some CPUs is bfloat16."""
        import json

        import openvino

        core, size = openvino.Core(), json.loads(Path(path).with_name("preprocess.json").read_text("utf-8"))
        wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
        network = core.read_model(path)
        network.reshape([1, size["height"], size["width"], 3])  # with a shape that is known, it is faster
        exact = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": int(wanted) if wanted.isdecimal() else 0}
        int8 = "FakeQuantize" in {each.get_type_name() for each in network.get_ops()}  # which bfloat16 breaks
        settings = {"CPU": exact, "AUTO": {"DEVICE_PROPERTIES": {"CPU": exact}} if int8 else {}}
        model = core.compile_model(network, device, settings.get(device, {}))
        return lambda images: list(map(model(images).__getitem__, ("boxes", "scores")))
