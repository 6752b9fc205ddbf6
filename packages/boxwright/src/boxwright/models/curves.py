"""Precision and recall of a model at every score."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from boxwright.label_map import LabelMap
from boxwright.matching import IN_REGION, NOTHING, find_hits
from boxwright.models.scene import Scene
from boxwright.schemas import Detections, Sample


class PrecisionRecallCurve(NamedTuple):
    """Precision and recall of one class, if detections with a lower score are left out.

    Attributes:
        scores: The scores of the detections, best first, ``(D,)``.
        precision: The share of right detections, ``(D,)``.
        recall: The share of objects that are found, ``(D,)``.
        objects: The number of objects.
    """

    scores: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    objects: int


def precision_recall(
    pairs: Iterable[tuple[Sample, Detections]], label_map: LabelMap, least_iou: float = 0.5
) -> dict[str, PrecisionRecallCurve]:
    """Returns the curve of each class that has an object.

    Args:
        pairs: Ground truth and detections, image by image.
        label_map: The classes.
        least_iou: Boxes with a smaller IoU do not match.
    """
    objects = np.zeros(len(label_map.names), np.int64)
    columns: list[tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]] = []
    for sample, found in pairs:
        scene = Scene.of(sample, found, label_map)
        objects += scene.objects
        hits = find_hits(scene.boxes, scene.classes, scene.truth, scene.truth_classes, scene.regions, least_iou)
        kept = hits != IN_REGION
        columns.append((scene.scores[kept], hits[kept] != NOTHING, scene.classes[kept]))
    if not columns:
        return {}
    scores, hits, classes = (np.concatenate(column) for column in zip(*columns, strict=True))
    curves = {}
    for number, name in enumerate(label_map.names):
        if objects[number]:
            mine = np.flatnonzero(classes == number)
            mine = mine[np.argsort(-scores[mine], kind="stable")]
            right = np.cumsum(hits[mine])
            precision, recall = right / np.arange(1, len(mine) + 1), right / objects[number]
            curves[name] = PrecisionRecallCurve(scores[mine], precision, recall, int(objects[number]))
    return curves
