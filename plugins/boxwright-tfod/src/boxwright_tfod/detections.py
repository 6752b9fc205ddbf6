"""What the API's exported models have in common: pictures in, detections out."""

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
"""A sample with its picture, and that picture's pixels, uint8 ``(height, width, 3)``."""


class ExportedModel(ABC):
    """A model of which each kind of file has a subclass, which gives ``found``.

    Args:
        label_map: The classes.
    """

    def __init__(self, label_map: LabelMap) -> None:
        self.label_map = label_map
        self._names = {item.id: item.name for item in label_map.items}

    @property
    @abstractmethod
    def prepared(self) -> Callable[[Sample], Prepared]:
        """What decodes a sample's picture."""

    @abstractmethod
    def found(self, pixels: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """What the model says of one picture.

        Args:
            pixels: uint8 ``(height, width, 3)``, RGB, of any size.

        Returns:
            ``detection_boxes`` ``(N, 4)``, ``ymin xmin ymax xmax`` as shares of the picture, ``detection_scores``
            ``(N,)`` and ``detection_classes`` ``(N,)``, numbers of the label map.
        """

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        """Yields one ``Detections`` a sample, in order, with boxes in the picture's own pixels.

        Args:
            samples: Pictures; their boxes are not looked at.
            batch_size: Ignored: the API's exports take one picture at a time.
            score: Detections below it are left out.

        Raises:
            DataError: A picture cannot be read.
        """
        for sample, picture, pixels in map_samples(self.prepared, samples, _raise, workers=2):
            yield self._detections(sample, picture, self.found(pixels), score)

    def _detections(self, sample: Sample, picture: DecodedImage, found: dict[str, Any], score: float) -> Detections:
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


def decoded(sample: Sample) -> tuple[DecodedImage, bytes]:
    """A sample's picture as Pillow decodes it, upright, and the bytes of its file.

    Raises:
        DataError: It cannot be read.
    """
    data = sample.image.read()
    return decode_sample(sample.replace(image=sample.image.model_copy(update={"data": data}), boxes=Boxes())), data


def _raise(error: Exception) -> None:
    raise error
