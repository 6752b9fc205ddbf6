"""The exporter ``saved-model``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from boxwright.models import Network, NetworkExporter
from boxwright_tf.programs import refuse_saved_model
from boxwright_tf.quiet import quiet_import


class SavedModelExporter(NetworkExporter):
    """``1/``, a SavedModel from encoded images to detections, for any backend that offers its network.

    The folder of the artifact is the base path of a model of TensorFlow Serving, and ``1`` its version.
    """

    model = "1"
    packages = ("tensorflow",)
    prepares = True

    def convert(self, network: Network, folder: Path, precision: str) -> None:
        """Writes ``1/`` and ``models.config``."""
        with quiet_import():
            from boxwright_savedmodel.convert import convert
            from boxwright_savedmodel.serving import write_models_config
        convert(network, folder / self.model, precision)
        write_models_config(folder)

    def opened(self, artifact: Path, **options: Any) -> Any:
        """Opens a network in TensorFlow.

        Raises:
            DataError: The model contains operations with files, connections or Python code, and is not trusted; or it
                is damaged.
        """
        with quiet_import():
            import tensorflow as tf  # noqa: F401
        refuse_saved_model(artifact)
        return super().opened(artifact, **options)

    @staticmethod
    def load_network(path: str) -> Any:
        """Loads a model in TensorFlow."""
        import tensorflow as tf

        model = tf.saved_model.load(path)
        serve = model.signatures["serving_default"]

        def detect(content: bytes, model: Any = model) -> Any:  # a signature does not keep its model alive
            try:
                found = serve(image_bytes=tf.constant([content]))
            except tf.errors.InvalidArgumentError as error:
                raise ValueError(error.message) from None
            count = int(found["num_detections"][0])
            return [found[name][0, :count].numpy() for name in ("boxes", "scores", "classes")]

        return detect
