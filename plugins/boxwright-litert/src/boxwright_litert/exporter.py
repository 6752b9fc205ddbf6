"""The exporter ``litert``."""

from __future__ import annotations

from pathlib import Path

from boxwright.models import Model, Network, NetworkExporter
from boxwright_tf.litert import load_network, refuse_tflite
from boxwright_tf.quiet import quiet_stderr


class LiteRTExporter(NetworkExporter):
    """``model.tflite``: boxes and scores of all anchors, for any backend that offers its network.

    ``fp16`` stores the weights in half precision, which halves the file; ``dynamic`` stores them as int8, which
    quarters it, and quantizes activations while it runs. ``int8`` quantizes activations by their calibrated ranges.
    """

    model = "model.tflite"
    packages = ("ai-edge-litert",)
    load_network = staticmethod(load_network)

    def convert(self, network: Network, folder: Path, precision: str) -> None:
        """Writes ``model.tflite``."""
        from boxwright_litert.convert import convert

        (folder / self.model).write_bytes(convert(network, precision, lambda: self.calibration_images(network)))

    def load(self, artifact: Path, device: str = "") -> Model:
        """Loads an artifact, without TensorFlow.

        Raises:
            DataError: A file is missing or damaged, or the model contains operations of TensorFlow, and is not trusted.
            RunError: LiteRT cannot run the model.
        """
        if artifact.name == self.model and artifact.is_file():
            refuse_tflite(artifact, artifact.read_bytes())
        with quiet_stderr():
            return super().load(artifact, device)
