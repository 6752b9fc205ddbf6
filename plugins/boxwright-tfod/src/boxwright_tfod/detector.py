"""A SavedModel of the API as a model, in plain TensorFlow: samples in, detections out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from boxwright import LabelMap, RunError, Sample
from boxwright_tf.programs import refuse_saved_model
from boxwright_tfod.detections import ExportedModel, Prepared, decoded

SIGNATURE = "serving_default"


def tensorflow_pixels(sample: Sample) -> Prepared:
    """Decodes a sample's image as the API does.

    TensorFlow decodes JPEG faster and less exactly than other libraries. Models are trained on such pixels; with them,
    boxwright's numbers equal those of the API's evaluation exactly.
    """
    image, data = decoded(sample)
    if image.header.format in ("jpeg", "mpo") and image.header.orientation == 1:
        with suppress(tf.errors.InvalidArgumentError):  # it does not decode CMYK
            return sample, image, tf.io.decode_jpeg(data, channels=3).numpy()
    return sample, image, np.asarray(image.image)


class SavedModelDetector(ExportedModel):
    """A SavedModel that ``exporter_main_v2`` wrote, with the input type ``image_tensor``.

    It takes one image of any size, uint8 ``(1, height, width, 3)``, resizes it, and returns ``detection_boxes``
    ``(1, N, 4)``, ``ymin xmin ymax xmax`` relative to the image, ``detection_scores`` ``(1, N)`` and
    ``detection_classes`` ``(1, N)``, ids of the label map (object_detection/exporter_lib_v2.py).

    Args:
        folder: The SavedModel.
        label_map: The classes.

    Raises:
        DataError: The model contains operations with files, connections or Python code, and is not trusted.
        RunError: The model cannot be loaded, or is not a detector of the API.
    """

    @property
    def prepared(self) -> Callable[[Sample], Prepared]:
        """Decodes as the API does."""
        return tensorflow_pixels

    def __init__(self, folder: Path, label_map: LabelMap) -> None:
        super().__init__(label_map)
        refuse_saved_model(folder)
        try:
            self._model = tf.saved_model.load(str(folder))  # a signature does not keep its model alive
            self._detect = self._model.signatures[SIGNATURE]
        except (OSError, ValueError, KeyError, AttributeError, tf.errors.OpError) as error:
            raise RunError(
                f"{folder} cannot be loaded: {error}", "export the model again, or train it again"
            ) from error
        (self._input,) = self._detect.structured_input_signature[1]

    def output(self, pixels: Any) -> dict[str, Any]:
        """Returns the SavedModel's output for one image, uint8 ``(height, width, 3)``."""
        output = self._detect(**{self._input: tf.constant(pixels[None])})
        return {name: value.numpy()[0] for name, value in output.items()}
