"""Average precision and recall as the COCO detection challenge defines them.

The definition is https://cocodataset.org/#detection-eval. Every number equals that of pycocotools exactly: hotcoco
matches the boxes, and the means are computed as in ``COCOeval.summarize``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import hotcoco
import numpy as np
from numpy.typing import NDArray

from boxwright import DataError, Detections, LabelMap, MetricResult, Sample, are_regions, is_set

_ALL, _SMALL, _MEDIUM, _LARGE = range(4)
"""Indices of the area axis: all; under 32x32, 32x32 to 96x96, and over 96x96 square pixels."""

_BEST_1, _BEST_10, _BEST_ALL = range(3)
"""Indices of the axis of the largest number of detections per image and class."""

_IOU_50, _IOU_75 = 0, 5
"""Indices of the axis of IoU thresholds, 0.50 to 0.95 in steps of 0.05."""

_BATCH: Final = 256
"""Number of images matched at once."""


def _names(most: int) -> tuple[str, ...]:
    return (
        *("AP", "AP50", "AP75", "APsmall", "APmedium", "APlarge"),
        *("AR1", "AR10", f"AR{most}", "ARsmall", "ARmedium", "ARlarge"),
    )


class CocoMetric:
    """The metric ``coco``.

    Boxes are matched by IoU at ten thresholds from 0.50 to 0.95, class by class, at most 100 detections per image and
    class, best scores first; precision is averaged at 101 recall values. The area of a ground-truth box is its
    attribute ``area``, such as that of a COCO outline, or else that of the box. A region (``boxwright.are_regions``),
    such as a crowd, need not be detected, and a detection in it is not wrong; that of a class which is not in the label
    map counts for every class.

    Args:
        max_detections: The largest number of detections per image and class that count, more than 10. With another
            number than COCO's 100, ``AR100`` has another name, such as ``AR300``.
    """

    def __init__(self, max_detections: int = 100) -> None:
        self.max_detections = max_detections

    def __call__(self, pairs: Iterable[tuple[Sample, Detections]], label_map: LabelMap) -> MetricResult:
        """Measures detections against the ground truth, image by image; only the matches are kept.

        Detections with equal scores are ordered by image, as in pycocotools with images numbered in their order.

        Args:
            pairs: The ground truth and the detections of each image; read once.
            label_map: All classes.

        Returns:
            The twelve numbers, ``nan`` where COCO returns -1 (without ground truth of that kind), and for each class
            ``AP``, ``AP50``, ``AR100`` and ``"truths"``, the number of ground-truth boxes without crowds.

        Raises:
            DataError: A ground-truth box or a detection has a class that is not in the label map.
        """
        categories = [{"id": item.id, "name": item.name} for item in label_map.items]
        parameters = hotcoco.Params("bbox")
        parameters.max_dets = [1, 10, self.max_detections]
        matching = hotcoco.StreamingEval(categories, "bbox", params=parameters)
        batch = _Batch(label_map, self.max_detections)
        for sample, detections in pairs:
            batch.add(sample, detections)
            if len(batch.images) == _BATCH:
                batch.match(matching)
        batch.match(matching)
        if not categories:
            return MetricResult(values=dict.fromkeys(_names(self.max_detections), float("nan")), main="AP")
        evaluation: Any = matching.finalize()
        evaluation.accumulate()
        precision = np.asarray(evaluation.eval["precision"])
        recall = np.asarray(evaluation.eval["recall"])
        # hotcoco orders classes by id, as pycocotools does; a label map may list them in another order.
        index = {class_id: position for position, class_id in enumerate(sorted(item.id for item in label_map.items))}
        return MetricResult(
            values=_summary(precision, recall, self.max_detections),
            per_class={
                item.name: _of_class(precision, recall, index[item.id], self.max_detections)
                | {"truths": float(batch.ground_truth[item.name])}
                for item in label_map.items
            },
            main="AP",
            notes=batch.notes(),
        )


@dataclass
class _Batch:
    """Images to be matched, as columns, and counts of all images so far."""

    label_map: LabelMap
    most: int
    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    detections: list[tuple[float, ...]] = field(default_factory=list)
    image: int = 0
    boxes: int = 0
    difficult: int = 0
    zero_area: int = 0
    crowded: int = 0
    largest: int = 0
    ground_truth: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ground_truth = dict.fromkeys(self.label_map.names, 0)

    def add(self, sample: Sample, detections: Detections) -> None:
        """Adds one image."""
        regions = are_regions(sample.boxes)
        objects = [not region for region in regions]
        for what, boxes, counts in (
            ("ground-truth box", sample.boxes, objects),
            ("detection", detections.boxes, [True] * len(detections.boxes)),
        ):
            for position, (label, single) in enumerate(zip(boxes.labels, counts, strict=True), start=1):
                if single and label not in self.label_map:
                    raise DataError(
                        sample.source or sample.image.name,
                        f"the class {label!r} is not in the label map ({', '.join(self.label_map.names)})",
                        "evaluate with the label map of the data",
                        f"{what} {position}",
                    )
        self.image += 1
        self.images.append({"id": self.image, "width": sample.image.width, "height": sample.image.height})
        boxes = sample.boxes
        for label, (xmin, ymin, xmax, ymax), more, region in zip(
            boxes.labels, boxes.coordinates, boxes.attributes, regions, strict=True
        ):
            width, height = xmax - xmin, ymax - ymin
            self.difficult += is_set(more.get("difficult"))
            self.zero_area += width * height == 0
            area = _area(more.get("area"), width * height)
            for name in [label] if label in self.label_map else sorted(set(detections.boxes.labels)):
                self.boxes += 1
                self.ground_truth[name] += not region
                self.annotations.append(
                    {
                        "id": self.boxes,
                        "image_id": self.image,
                        "category_id": self.label_map.id(name),
                        "bbox": [xmin, ymin, width, height],
                        "area": area,
                        "iscrowd": int(region),
                    }
                )
        numbers = Counter(sample.boxes.labels).values()
        self.crowded += max(numbers, default=0) > self.most
        self.largest = max(self.largest, *numbers, 0)
        boxes = detections.boxes
        for label, (xmin, ymin, xmax, ymax), score in zip(
            boxes.labels, boxes.coordinates, detections.scores, strict=True
        ):
            row = (self.image, xmin, ymin, xmax - xmin, ymax - ymin, score, self.label_map.id(label))
            self.detections.append(row)

    def match(self, matching: Any) -> None:
        """Matches the images, and empties the columns."""
        if self.images:
            detections = np.array(self.detections, dtype=np.float64).reshape(-1, 7)
            matching.update(self.images, self.annotations, detections)
            self.images, self.annotations, self.detections = [], [], []

    def notes(self) -> list[str]:
        """Returns notes on the numbers."""
        notes = []
        if self.difficult:
            notes.append(
                f"difficult boxes, which count like all others because COCO has no such flag: {self.difficult}"
            )
        if self.zero_area:
            notes.append(f"boxes with zero area, which cannot be detected and count as missed: {self.zero_area}")
        if self.crowded:
            notes.append(
                f"images with more than {self.most} boxes of a class, of which COCO counts only {self.most} as found:"
                f" {self.crowded}; the metric's option max_detections={self.largest} counts all"
            )
        return notes


def _area(given: object, of_box: float) -> float:
    """Returns the area of an annotation: the number that was given, else that of its box."""
    valid = isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given < math.inf
    return float(given) if valid else of_box  # type: ignore[arg-type]


def _summary(precision: NDArray[Any], recall: NDArray[Any], most: int) -> dict[str, float]:
    """Returns the twelve numbers.

    Args:
        precision: Shape (IoU thresholds, recall values, classes, areas, detections per image), -1 without ground truth.
        recall: The same without the second axis.
        most: The largest number of detections per image.
    """
    return dict(
        zip(
            _names(most),
            (
                _mean(precision[:, :, :, _ALL, _BEST_ALL]),
                _mean(precision[_IOU_50, :, :, _ALL, _BEST_ALL]),
                _mean(precision[_IOU_75, :, :, _ALL, _BEST_ALL]),
                *(_mean(precision[:, :, :, area, _BEST_ALL]) for area in (_SMALL, _MEDIUM, _LARGE)),
                *(_mean(recall[:, :, _ALL, best]) for best in (_BEST_1, _BEST_10, _BEST_ALL)),
                *(_mean(recall[:, :, area, _BEST_ALL]) for area in (_SMALL, _MEDIUM, _LARGE)),
            ),
            strict=True,
        )
    )


def _of_class(precision: NDArray[Any], recall: NDArray[Any], index: int, most: int) -> dict[str, float]:
    return {
        "AP": _mean(precision[:, :, index, _ALL, _BEST_ALL]),
        "AP50": _mean(precision[_IOU_50, :, index, _ALL, _BEST_ALL]),
        f"AR{most}": _mean(recall[:, index, _ALL, _BEST_ALL]),
    }


def _mean(values: NDArray[Any]) -> float:
    """Returns the mean of the values that were measured, ``nan`` if none was."""
    measured = values[values > -1]
    return float(np.mean(measured)) if measured.size else float("nan")
