"""The exporter ``keras``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from boxwright.models import Network, NetworkExporter, models_trusted
from boxwright_keras.archive import refuse_archive
from boxwright_keras.layer import detector_layer
from boxwright_tf.quiet import quiet_import, quiet_stderr


class KerasExporter(NetworkExporter):
    """``model.keras``: images in, detections out, for any backend that offers its network."""

    model = "model.keras"
    packages = ("keras", "tensorflow")
    suppresses = True
    sources = (detector_layer,)

    def convert(self, network: Network, folder: Path, precision: str) -> None:
        """Writes ``model.keras``."""
        with quiet_import():
            from boxwright_keras.convert import convert
        with quiet_stderr():
            convert(network, folder / self.model)

    def opened(self, artifact: Path, **options: Any) -> Any:
        """Opens a network in Keras.

        Raises:
            DataError: The model contains Python code, objects other than those of Keras and of this exporter, or
                operations with files, and is not trusted; or it is damaged.
        """
        with quiet_import():
            import keras  # noqa: F401

            if not models_trusted():
                refuse_archive(artifact)
        with quiet_stderr():
            return super().opened(artifact, **options)

    @staticmethod
    def load_network(path: str) -> Any:
        """Loads a model in Keras."""
        import keras

        layer = {"boxwright>Detector": detector_layer(keras)}
        model = keras.saving.load_model(path, layer, compile=False, safe_mode=True)

        def detect(images: Any) -> Any:
            found = {name: np.asarray(value[0]) for name, value in model(images).items()}
            return [found[name][: found["num_detections"]] for name in ("boxes", "scores", "classes")]

        return detect
