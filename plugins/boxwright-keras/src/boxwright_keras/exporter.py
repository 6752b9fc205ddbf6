"""The exporter ``keras``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from boxwright.models import Model, Network, NetworkExporter, models_trusted
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

    def load(self, artifact: Path, device: str = "") -> Model:
        """Loads an artifact in Keras.

        Raises:
            DataError: A file is missing or damaged, or the model contains Python code, objects other than those of
                Keras and of this exporter, or operations with files, and is not trusted.
            RunError: Keras cannot run the model.
        """
        if artifact.name == self.model and artifact.is_file() and not models_trusted():
            with quiet_import():
                refuse_archive(artifact)
        with quiet_import():
            import keras  # noqa: F401
        with quiet_stderr():
            return super().load(artifact, device)

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
