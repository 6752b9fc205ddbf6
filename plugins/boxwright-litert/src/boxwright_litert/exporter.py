"""The exporter ``litert``, and its artifacts as models."""

from __future__ import annotations

from pathlib import Path

from boxwright import DataError, Run
from boxwright.models import PortableModel, Suppressed, open_network, read_settings, write_settings
from boxwright_tf.litert import LiteRTNetwork

MODEL = "model.tflite"


class LiteRTExporter:
    """``model.tflite``: boxes and scores of all anchors, for any backend that offers its network.

    ``fp16`` stores the weights in half precision, which halves the file; ``dynamic`` stores them as int8, which
    quarters it, and quantizes activations while it runs.
    """

    def export(self, run: Run, out: Path, precision: str = "") -> Path:
        """Converts the network of a run.

        Raises:
            UsageError: The backend of the run does not offer its networks.
            RunError: The run has no model yet.
        """
        from boxwright_litert.convert import convert

        with open_network(run) as network:
            (out / MODEL).write_bytes(convert(network, precision or "fp32"))
            write_settings(network, out)
        return out / MODEL

    def load(self, artifact: Path) -> PortableModel:
        """Loads an artifact, without TensorFlow.

        Raises:
            DataError: A file is missing or damaged.
            RunError: LiteRT cannot run the model.
        """
        label_map, inputs, decoder = read_settings(artifact.parent)
        try:
            content = artifact.read_bytes()
        except OSError as error:
            raise DataError(artifact, error.strerror or str(error), "export the model again") from None
        return PortableModel(label_map, inputs, Suppressed(LiteRTNetwork(content), inputs, decoder))
