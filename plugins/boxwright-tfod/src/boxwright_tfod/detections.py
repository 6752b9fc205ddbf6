"""The base of the API's exported models: images in, detections out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boxwright import Boxes, Detections, LabelMap, PluginError, Sample
from boxwright.datasets import map_samples
from boxwright.images import DecodedImage, decode_sample

Prepared = tuple[Sample, DecodedImage, NDArray[np.uint8]]
"""A sample, its decoded image, and the pixels for the model, uint8 ``(height, width, 3)``."""


class ExportedModel(ABC):
    """An exported model; each kind of file has a subclass.

    Args:
        label_map: The classes.
    """

    def __init__(self, label_map: LabelMap) -> None:
        self.label_map = label_map
        self._names = {item.id: item.name for item in label_map.items}

    @property
    @abstractmethod
    def prepared(self) -> Callable[[Sample], Prepared]:
        """The function that decodes a sample's image."""

    @abstractmethod
    def output(self, pixels: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """Returns the model's output for one image.

        Args:
            pixels: uint8 ``(height, width, 3)``, RGB, of any size.

        Returns:
            ``detection_boxes`` ``(N, 4)``, ``ymin xmin ymax xmax`` relative to the image, ``detection_scores`` ``(N,)``
            and ``detection_classes`` ``(N,)``, ids of the label map.
        """

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        """Yields one ``Detections`` per sample, in order, with boxes in the pixels of the image.

        Args:
            samples: The images; their boxes are ignored.
            batch_size: Ignored: the API's exported models take one image at a time.
            score: The lowest score of a detection.

        Raises:
            DataError: An image cannot be read.
        """
        for sample, image, pixels in map_samples(self.prepared, samples, _raise, workers=2):
            yield self._detections(sample, image, self.output(pixels), score)

    def _detections(self, sample: Sample, image: DecodedImage, output: dict[str, Any], score: float) -> Detections:
        width, height = image.image.size
        ymin, xmin, ymax, xmax = np.clip(output["detection_boxes"].astype(np.float64), 0.0, 1.0).T
        xyxy = np.stack([xmin * width, ymin * height, xmax * width, ymax * height], axis=1)
        scores = np.clip(output["detection_scores"], 0.0, 1.0)
        # Padding has the score 0 and zero area.
        kept = (xyxy[:, 2] > xyxy[:, 0]) & (xyxy[:, 3] > xyxy[:, 1]) & (scores >= score) & (scores > 0)
        labels = [self._label(int(number)) for number in output["detection_classes"][kept]]
        return Detections.from_arrays(sample.image, labels, image.to_annotation(xyxy[kept]), scores[kept])

    def _label(self, number: int) -> str:
        try:
            return self._names[number]
        except KeyError:
            raise PluginError(
                f"the model returned the class id {number}, and the label map has ids from {min(self._names)} to"
                f" {max(self._names)}",
                "set the label map that the model was trained with",
            ) from None


def decoded(sample: Sample) -> tuple[DecodedImage, bytes]:
    """Returns a sample's image as Pillow decodes it, upright, and the bytes of its file.

    Raises:
        DataError: The image cannot be read.
    """
    data = sample.image.read()
    return decode_sample(sample.replace(image=sample.image.model_copy(update={"data": data}), boxes=Boxes())), data


def _raise(error: Exception) -> None:
    raise error
