"""One image as numbers: its ground truth and the detections in it, for metrics."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from boxwright.errors import DataError
from boxwright.label_map import LabelMap
from boxwright.regions import are_regions
from boxwright.schemas import Detections, Sample


class Scene(NamedTuple):
    """The ground truth of one image and the detections in it.

    Attributes:
        boxes: The detections, best first, ``(D, 4)`` float64, ``xyxy`` in pixels.
        scores: Their scores, ``(D,)``.
        classes: Their classes, ``(D,)``, from 0 in the order of the label map.
        truth: The ground truth, ``(G, 4)``.
        truth_classes: Its classes, ``(G,)``; -1 for a region of a class that is not in the label map.
        regions: Whether each is a region, ``(G,)``; see :func:`boxwright.are_regions`.
        objects: The number of objects of each class, without regions, ``(classes,)``.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    classes: NDArray[np.int64]
    truth: NDArray[np.float64]
    truth_classes: NDArray[np.int64]
    regions: NDArray[np.bool_]
    objects: NDArray[np.int64]

    @classmethod
    def of(cls, sample: Sample, found: Detections, label_map: LabelMap) -> Scene:
        """Returns an image as numbers.

        Raises:
            DataError: A ground-truth box or a detection has a class that is not in the label map.
        """
        numbers = {name: number for number, name in enumerate(label_map.names)}
        regions = np.array(are_regions(sample.boxes), bool)
        truth_classes = np.array([numbers.get(label, -1) for label in sample.boxes.labels], np.int64)
        classes = np.array([numbers.get(label, -1) for label in found.boxes.labels], np.int64)
        for what, labels, unknown in (
            ("ground-truth box", sample.boxes.labels, (truth_classes < 0) & ~regions),
            ("detection", found.boxes.labels, classes < 0),
        ):
            if unknown.any():
                position = int(unknown.argmax())
                raise DataError(
                    sample.source or sample.image.name,
                    f"the class {labels[position]!r} is not in the label map ({', '.join(label_map.names)})",
                    "evaluate with the label map of the data",
                    f"{what} {position + 1}",
                )
        objects = np.bincount(truth_classes[~regions], minlength=len(numbers))
        scores = np.array(found.scores, np.float64)
        return cls(found.boxes.xyxy, scores, classes, sample.boxes.xyxy, truth_classes, regions, objects)
