"""Outcomes: which objects of an image are found, which are missed, and which detections are false alarms."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from boxwright.boxes import iou
from boxwright.label_map import LabelMap
from boxwright.matching import IN_REGION, NOTHING, find_hits
from boxwright.models.scene import Scene
from boxwright.schemas import Detections, Sample

IOU = 0.5
"""The IoU from which a detection is right."""
SIZES = ("small", "medium", "large")
_SIDES = (32.0, 96.0)
"""COCO's limits between the sizes, as sides of squares in pixels."""


class Cells(NamedTuple):
    """What became of each object and each detection of an image, as rows of equal length.

    An object without a detection and a detection without an object have -1 as the other position; their other class is
    the background, which has the number of classes as its number.

    Attributes:
        objects: Positions in the ground truth.
        detections: Positions in the detections.
        truth: The class of the object.
        predicted: The class of the detection.
    """

    objects: NDArray[np.int64]
    detections: NDArray[np.int64]
    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which rows are objects that are found with the right class."""
        return np.equal(self.truth, self.predicted)

    @property
    def mistakes(self) -> int:
        """The number of missed objects, false alarms and wrong classes."""
        return int(np.count_nonzero(~self.right))


class Outcome(NamedTuple):
    """The detections in one image, compared with its ground truth.

    Attributes:
        scene: The image as numbers.
        hits: The object that each detection finds, shown or not; see :func:`boxwright.matching.find_hits`.
        shown: Which detections have at least the chosen score.
        cells: What became of the objects and of the detections that are shown.
    """

    scene: Scene
    hits: NDArray[np.int64]
    shown: NDArray[np.bool_]
    cells: Cells

    @classmethod
    def of(cls, sample: Sample, found: Detections, label_map: LabelMap, least: NDArray[np.float64]) -> Outcome:
        """Matches detections with objects of their class, and then the others with objects of other classes.

        Args:
            sample: The image with its ground truth.
            found: The detections.
            label_map: The classes.
            least: The lowest score of a detection that is shown, by class.

        Raises:
            DataError: A ground-truth box or a detection has a class that is not in the label map.
        """
        scene = Scene.of(sample, found, label_map)
        hits = find_hits(scene.boxes, scene.classes, scene.truth, scene.truth_classes, scene.regions, IOU)
        shown = scene.scores >= least[scene.classes]
        return cls(scene, hits, shown, _cells(scene, hits, shown, len(label_map)))


def _cells(scene: Scene, hits: NDArray[np.int64], shown: NDArray[np.bool_], background: int) -> Cells:
    right = np.flatnonzero(shown & (hits >= 0))
    pairs = [(int(hits[place]), int(place)) for place in right]
    free = np.ones(len(scene.truth), bool)
    free[hits[right]] = False
    free &= ~scene.regions
    others = np.flatnonzero(shown & (hits == NOTHING))
    overlap = iou(scene.boxes[others], scene.truth) * free
    for row, place in enumerate(others):
        best = int(overlap[row].argmax()) if overlap.shape[1] else -1
        if best >= 0 and overlap[row, best] >= IOU and scene.truth_classes[best] != scene.classes[place]:
            overlap[:, best] = 0
            free[best] = False
            pairs.append((best, int(place)))
        else:
            pairs.append((-1, int(place)))
    pairs += [(int(place), -1) for place in np.flatnonzero(free)]
    objects, detections = np.array(pairs, np.int64).reshape(-1, 2).T
    truth = np.where(objects >= 0, np.append(scene.truth_classes, background)[objects], background)
    predicted = np.where(detections >= 0, np.append(scene.classes, background)[detections], background)
    return Cells(objects, detections, truth, predicted)


class Tally:
    """The outcomes of all images, added up.

    Args:
        label_map: The classes.
        least: The lowest score of a detection that is shown, by class.

    Attributes:
        images: The number of images.
        confusion: The number of outcomes by class of the object and class of the detection; the last row and column
            are the background, ``(classes + 1, classes + 1)``.
        by_size: Objects, objects found with the right class, and detections without such an object, by COCO's sizes,
            ``(3, 3)``; a detection without an object has its own size.
        objects: The number of objects by class.
        outcomes: Those of each image.
    """

    def __init__(self, label_map: LabelMap, least: NDArray[np.float64]) -> None:
        classes = len(label_map)
        self.label_map, self.least = label_map, least
        self.images = 0
        self.confusion = np.zeros((classes + 1, classes + 1), np.int64)
        self.by_size = np.zeros((3, 3), np.int64)
        self.objects = np.zeros(classes, np.int64)
        self.outcomes: list[Outcome] = []

    @classmethod
    def of(cls, pairs: Iterable[tuple[Sample, Detections]], label_map: LabelMap, least: NDArray[np.float64]) -> Tally:
        """Adds up the outcomes of all images."""
        tally = cls(label_map, least)
        for sample, found in pairs:
            tally.add(Outcome.of(sample, found, label_map, least))
        return tally

    def add(self, outcome: Outcome) -> None:
        """Adds the outcome of an image."""
        scene, cells = outcome.scene, outcome.cells
        self.images += 1
        self.outcomes.append(outcome)
        self.objects += scene.objects
        np.add.at(self.confusion, (cells.truth, cells.predicted), 1)
        of_objects, of_detections = _sizes(scene.truth), _sizes(scene.boxes)
        np.add.at(self.by_size[:, 0], of_objects[~scene.regions], 1)
        np.add.at(self.by_size[:, 1], of_objects[cells.objects[cells.right]], 1)
        wrong = cells.detections[~cells.right]
        np.add.at(self.by_size[:, 2], of_detections[wrong[wrong >= 0]], 1)

    @property
    def found(self) -> NDArray[np.int64]:
        """The number of objects that are found with the right class, by class."""
        return np.diagonal(self.confusion)[:-1]

    @property
    def false_alarms(self) -> NDArray[np.int64]:
        """The number of detections that are not right, by class: those of other objects and of the background."""
        wrong: NDArray[np.int64] = self.confusion.sum(axis=0)[:-1] - self.found
        return wrong

    def detections(self) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]:
        """Returns the scores, whether they are right, and the classes of all detections outside regions, best first."""
        rows = [(each.scene.scores, each.hits, each.scene.classes) for each in self.outcomes]
        empty = (np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64))
        scores, hits, classes = (np.concatenate(column) for column in zip(empty, *rows, strict=True))
        kept = np.flatnonzero(hits != IN_REGION)
        order = kept[np.argsort(-scores[kept], kind="stable")]
        return scores[order], hits[order] >= 0, classes[order]


def _sizes(boxes: NDArray[np.float64]) -> NDArray[np.int64]:
    """Returns the size class of each box by its area: 0 small, 1 medium, 2 large."""
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    sizes: NDArray[np.int64] = (areas >= _SIDES[0] ** 2).astype(np.int64) + (areas >= _SIDES[1] ** 2)
    return sizes
