"""A SavedModel of the API as a model, in plain TensorFlow: samples in, detections out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from boxwright import LabelMap, RunError, Sample
from boxwright_tfod.detections import ExportedModel, Prepared, decoded

SIGNATURE = "serving_default"


def tensorflow_pixels(sample: Sample) -> Prepared:
    """A sample with its picture, and that picture's pixels as the API's own decoder gives them.

    TensorFlow decodes JPEG in a quicker and coarser way than others. Models are trained on that; with it, boxwright's
    numbers are those of the API's evaluation to the last digit.
    """
    picture, data = decoded(sample)
    if picture.header.format in ("jpeg", "mpo") and picture.header.orientation == 1:
        with suppress(tf.errors.InvalidArgumentError):  # it does not decode CMYK
            return sample, picture, tf.io.decode_jpeg(data, channels=3).numpy()
    return sample, picture, np.asarray(picture.image)


class SavedModelDetector(ExportedModel):
    """What ``exporter_main_v2`` wrote, with the input type ``image_tensor``.

    It takes one picture of any size, uint8 ``(1, height, width, 3)``, resizes it itself, and gives
    ``detection_boxes`` ``(1, N, 4)``, ``ymin xmin ymax xmax`` as shares of the picture, ``detection_scores`` ``(1, N)``
    and ``detection_classes`` ``(1, N)``, numbers of the label map (object_detection/exporter_lib_v2.py).

    Args:
        folder: The SavedModel.
        label_map: The classes.

    Raises:
        RunError: It cannot be loaded, or is no detector of the API.
    """

    @property
    def prepared(self) -> Callable[[Sample], Prepared]:
        """Decodes as the API does."""
        return tensorflow_pixels

    def __init__(self, folder: Path, label_map: LabelMap) -> None:
        super().__init__(label_map)
        try:
            self._model = tf.saved_model.load(str(folder))  # which the signature does not keep alive
            self._detect = self._model.signatures[SIGNATURE]
        except (OSError, ValueError, KeyError, AttributeError, tf.errors.OpError) as error:
            raise RunError(f"{folder} cannot be loaded: {error}", "export it, or train it, again") from error
        (self._input,) = self._detect.structured_input_signature[1]

    def found(self, pixels: Any) -> dict[str, Any]:
        """What the SavedModel says of one picture, uint8 ``(height, width, 3)``."""
        found = self._detect(**{self._input: tf.constant(pixels[None])})
        return {name: value.numpy()[0] for name, value in found.items()}
