"""Average precision as PASCAL VOC defines it (VOCevaldet.m of the development kits of 2007 and 2010)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from boxwright import Detections, LabelMap, MetricResult, Sample, iou, is_set
from boxwright.models import Scene, draw_images

_AT_ONCE: int = 1 << 21
"""Number of weights in memory."""

Numbers = NDArray[np.float64]


class VocMetric:
    """The metric ``voc``.

    A detection belongs to the object of its class that it overlaps most. It is right if it is the first one of this
    object, by score, and ignored if the object is ``difficult`` or a region.

    Args:
        points: ``"all"``, the area under the precision and recall curve (since VOC 2010), or ``"11"``, the mean of the
            precision at 11 recall values (VOC 2007).
        iou: The lowest IoU of a right detection.
        draws: The number of draws for the intervals; 0 for none.
    """

    def __init__(self, points: str = "all", iou: float = 0.5, draws: int = 1000) -> None:
        self.points, self.iou, self.draws = points, iou, draws

    def __call__(self, pairs: Iterable[tuple[Sample, Detections]], label_map: LabelMap) -> MetricResult:
        """Measures detections against the ground truth, image by image.

        Raises:
            DataError: A ground-truth box or a detection has a class that is not in the label map.
        """
        objects: list[Numbers] = []
        columns: list[list[NDArray[Any]]] = [[], [], [], []]
        difficult = 0
        for sample, found in pairs:
            scene = Scene.of(sample, found, label_map)
            hard = np.array([is_set(each.get("difficult")) for each in sample.boxes.attributes], bool)
            difficult += int(hard.sum())
            right, counts = match(scene, scene.regions | hard, self.iou)
            kept = right >= 0
            place = np.full(int(kept.sum()), len(objects))
            for column, values in zip(columns, (scene.scores, right, scene.classes, place), strict=True):
                column.append(values[kept] if values is not place else values)
            objects.append(counts)
        scores, right, classes, places = (np.concatenate([*column, np.zeros(0)]) for column in columns)
        table = Ranked(scores, right > 0, classes.astype(np.int64), places.astype(np.int64))
        counts_of = np.array(objects).reshape(len(objects), len(label_map))
        result = table.result(counts_of, label_map, self.points, self.draws)
        if difficult:
            result.notes.append(f"difficult boxes, which are ignored as in VOC: {difficult}")
        return result


class Ranked(NamedTuple):
    """The detections in all images, without those that are ignored.

    Attributes:
        scores: ``(D,)``.
        hits: Which are right, ``(D,)``.
        classes: Their classes, from 0, ``(D,)``.
        images: Their images, from 0, ``(D,)``.
    """

    scores: Numbers
    hits: NDArray[np.bool_]
    classes: NDArray[np.int64]
    images: NDArray[np.int64]

    def result(self, objects: Numbers, label_map: LabelMap, points: str, draws: int) -> MetricResult:
        """Returns the average precision of each class and its mean.

        Args:
            objects: The number of objects in each image, ``(images, classes)``.
            label_map: The classes.
            points: ``"all"`` or ``"11"``.
            draws: The number of draws for the interval; 0 for none.
        """
        images = len(objects)
        weights = np.concatenate([np.ones((1, images)), draw_images(images, draws)])
        drawn = np.full((len(weights), len(label_map)), math.nan)
        for number in np.flatnonzero(objects.sum(axis=0)):
            rows = np.flatnonzero(self.classes == number)
            rows = rows[np.argsort(-self.scores[rows], kind="stable")]
            step = max(1, _AT_ONCE // max(len(rows), 1))
            for start in range(0, len(weights), step):
                part = weights[start : start + step]
                drawn[start : start + step, number] = average_precision(
                    self.hits[rows], part.T[self.images[rows]], part @ objects[:, number], points
                )
        counted = np.isfinite(drawn).sum(axis=1)
        means = np.divide(np.nansum(drawn, axis=1), counted, out=np.full(len(drawn), math.nan), where=counted > 0)
        return MetricResult(
            {"mAP": float(means[0])},
            {
                name: {"AP": float(drawn[0, number]), "truths": float(objects[:, number].sum())}
                for number, name in enumerate(label_map.names)
            },
            main="mAP",
            drawn={"mAP": means[1:]} if draws and images > 1 else {},
        )


def match(scene: Scene, ignored: NDArray[np.bool_], least: float) -> tuple[NDArray[np.int64], Numbers]:
    """Matches the detections in one image.

    Args:
        scene: The image.
        ignored: Which ground-truth boxes are ignored, ``(G,)``.
        least: The lowest IoU of a right detection.

    Returns:
        For each detection 1 if it is right, 0 if not, and -1 if it is ignored; and the number of objects of each class.
    """
    right = np.zeros(len(scene.boxes), np.int64)
    objects = np.bincount(scene.truth_classes[~ignored], minlength=len(scene.objects)).astype(np.float64)
    if len(scene.boxes) and len(scene.truth):
        suitable = (scene.classes[:, None] == scene.truth_classes) | (scene.truth_classes == -1)
        overlap = np.where(suitable, iou(scene.boxes, scene.truth), -1.0)
        best = overlap.argmax(axis=1)
        near = overlap.max(axis=1) >= least
        right[near & ignored[best]] = -1
        candidates = np.flatnonzero(near & ~ignored[best])
        _, first = np.unique(best[candidates], return_index=True)
        right[candidates[first]] = 1
    return right, objects


def average_precision(hits: NDArray[np.bool_], weights: Numbers, objects: Numbers, points: str) -> Numbers:
    """Returns the average precision of one class with each set of weights; ``nan`` without objects.

    Args:
        hits: Which detections are right, best first, ``(D,)``.
        weights: How often each detection counts, ``(D, sets)``.
        objects: The number of objects, ``(sets,)``.
        points: ``"all"`` or ``"11"``.
    """
    right = weights[hits]
    found = np.cumsum(right, axis=0)
    precision = found / np.maximum(np.cumsum(weights, axis=0)[hits], 1)
    highest = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    total = np.where(objects > 0, objects, math.nan)
    if points == "all":
        area: Numbers = np.einsum("ij,ij->j", highest, right) / total
        return area
    padded = np.concatenate([highest, np.zeros((1, weights.shape[1]))])
    places = np.arange(weights.shape[1])
    recall = found / total
    sums = sum(padded[(recall < number / 10).sum(axis=0), places] for number in range(11))
    mean: Numbers = sums / 11 + total * 0
    return mean
