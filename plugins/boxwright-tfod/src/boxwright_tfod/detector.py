"""A SavedModel of the API as a model, in plain TensorFlow: samples in, detections out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from boxwright import Boxes, Detections, LabelMap, PluginError, RunError, Sample
from boxwright.images import Picture, open_picture, read_bytes
from boxwright.threads import map_samples

SIGNATURE = "serving_default"


class SavedModelDetector:
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

    def __init__(self, folder: Path, label_map: LabelMap) -> None:
        self.label_map = label_map
        try:
            self._model = tf.saved_model.load(str(folder))  # which the signature does not keep alive
            self._detect = self._model.signatures[SIGNATURE]
        except (OSError, ValueError, KeyError, AttributeError, tf.errors.OpError) as error:
            raise RunError(f"{folder} cannot be loaded: {error}", "export it, or train it, again") from error
        (self._input,) = self._detect.structured_input_signature[1]
        self._names = {item.id: item.name for item in label_map.items}

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        """Yields one ``Detections`` a sample, in order, with boxes in the picture's own pixels.

        Args:
            samples: Pictures; their boxes are not looked at.
            batch_size: Ignored: the API's export takes one picture at a time.
            score: Detections below it are left out.

        Raises:
            DataError: A picture cannot be read.
        """
        for sample, picture, pixels in map_samples(_prepared, samples, _raise, workers=2):
            yield self._detections(sample, picture, self._found(pixels), score)

    def _found(self, pixels: Any) -> dict[str, Any]:
        """What the model says of one picture, uint8 ``(height, width, 3)``."""
        found = self._detect(**{self._input: tf.constant(pixels[None])})
        return {name: value.numpy()[0] for name, value in found.items()}

    def _detections(self, sample: Sample, picture: Picture, found: dict[str, Any], score: float) -> Detections:
        width, height = picture.image.size
        ymin, xmin, ymax, xmax = np.clip(found["detection_boxes"].astype(np.float64), 0.0, 1.0).T
        edges = np.stack([xmin * width, ymin * height, xmax * width, ymax * height], axis=1)
        scores = np.clip(found["detection_scores"], 0.0, 1.0)
        # Padding has the score 0 and no area.
        kept = (edges[:, 2] > edges[:, 0]) & (edges[:, 3] > edges[:, 1]) & (scores >= score) & (scores > 0)
        labels = [self._label(int(number)) for number in found["detection_classes"][kept]]
        return Detections.from_arrays(sample.image, labels, picture.to_annotation(edges[kept]), scores[kept])

    def _label(self, number: int) -> str:
        try:
            return self._names[number]
        except KeyError:
            raise PluginError(
                f"the model found class {number}, and the label map goes from {min(self._names)} to {max(self._names)}",
                "give the label map that the model was trained with",
            ) from None


def _prepared(sample: Sample) -> tuple[Sample, Picture, Any]:
    """A sample with its picture, and that picture's pixels as the API's own decoder gives them.

    TensorFlow decodes JPEG in a quicker and coarser way than others. Models are trained on that; with it, boxwright's
    numbers are those of the API's evaluation to the last digit.
    """
    data = read_bytes(sample.image)
    picture = open_picture(sample.replace(image=sample.image.model_copy(update={"data": data}), boxes=Boxes()))
    if picture.header.format in ("jpeg", "mpo") and picture.header.orientation == 1:
        with suppress(tf.errors.InvalidArgumentError):  # it does not decode CMYK
            return sample, picture, tf.io.decode_jpeg(data, channels=3).numpy()
    return sample, picture, np.asarray(picture.image)


def _raise(error: Exception) -> None:
    raise error
