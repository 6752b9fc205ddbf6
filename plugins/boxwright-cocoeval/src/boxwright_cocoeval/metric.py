"""Average precision and recall as the COCO detection challenge defines them.

The definition is https://cocodataset.org/#detection-eval, the judge is pycocotools: every number equals its answer
exactly. The matching is done by hotcoco; the means over it are taken as ``COCOeval.summarize`` takes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import hotcoco
import numpy as np
from numpy.typing import NDArray

from boxwright import DataError, Detections, LabelMap, MetricResult, Sample

_ALL, _SMALL, _MEDIUM, _LARGE = range(4)
"""Places on the area axis: all; under 32x32, 32x32 to 96x96, and over 96x96 square pixels."""

_BEST_1, _BEST_10, _BEST_100 = range(3)
"""Places on the axis of how many detections a picture and class may count."""

_IOU_50, _IOU_75 = 0, 5
"""Places on the axis of IoU thresholds, 0.50 to 0.95 in steps of 0.05."""

_BATCH: Final = 256
"""Pictures matched at once."""

_NAMES: Final = (
    *("AP", "AP50", "AP75", "APsmall", "APmedium", "APlarge"),
    *("AR1", "AR10", "AR100", "ARsmall", "ARmedium", "ARlarge"),
)


class CocoMetric:
    """The metric ``coco``.

    Boxes are matched by IoU at ten thresholds from 0.50 to 0.95, class by class, at most 100 detections a picture and
    class, best scores first; precision is averaged at 101 recalls. A truth's area is that of its box. A truth with the
    attribute ``iscrowd`` neither has to be found nor makes a detection in it wrong.
    """

    def __call__(self, pairs: Iterable[tuple[Sample, Detections]], label_map: LabelMap) -> MetricResult:
        """Measures detections against truths, picture by picture; only the matches are kept.

        Where scores are equal, the earlier picture's detection comes first, as in pycocotools with pictures numbered
        in their order.

        Args:
            pairs: Each picture's truths and detections; read once.
            label_map: Every class that occurs.

        Returns:
            The twelve numbers, ``nan`` where COCO says -1 (there is no truth of that kind), and for each class ``AP``,
            ``AP50``, ``AR100`` and ``truths``, the number of boxes to find (without crowds).

        Raises:
            DataError: A truth or a detection has a class that is not in the label map.
        """
        categories = [{"id": item.id, "name": item.name} for item in label_map.items]
        matching = hotcoco.StreamingEval(categories, "bbox")
        batch = _Batch(label_map)
        for sample, detections in pairs:
            batch.add(sample, detections)
            if len(batch.images) == _BATCH:
                batch.hand_to(matching)
        batch.hand_to(matching)
        if not categories:
            return MetricResult(values=dict.fromkeys(_NAMES, float("nan")), main="AP")
        evaluation: Any = matching.finalize()
        evaluation.accumulate()
        precision = np.asarray(evaluation.eval["precision"])
        recall = np.asarray(evaluation.eval["recall"])
        # hotcoco orders classes by number, as pycocotools does; a label map may list them in another order.
        place = {number: position for position, number in enumerate(sorted(item.id for item in label_map.items))}
        return MetricResult(
            values=_summary(precision, recall),
            per_class={
                item.name: _of_class(precision, recall, place[item.id]) | {"truths": float(batch.truths[item.name])}
                for item in label_map.items
            },
            main="AP",
            notes=batch.notes(),
        )


@dataclass
class _Batch:
    """Pictures that wait to be matched, as columns, and counts of all that went by."""

    label_map: LabelMap
    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    found: list[tuple[float, ...]] = field(default_factory=list)
    pictures: int = 0
    boxes: int = 0
    difficult: int = 0
    without_area: int = 0
    truths: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.truths = dict.fromkeys(self.label_map.names, 0)

    def add(self, sample: Sample, detections: Detections) -> None:
        """Takes up one picture."""
        for what, boxes in (("truth", sample.boxes), ("detection", detections.boxes)):
            for position, label in enumerate(boxes.labels, start=1):
                if label not in self.label_map:
                    raise DataError(
                        sample.source or sample.image.name,
                        f"the class {label!r} is not in the label map ({', '.join(self.label_map.names)})",
                        "measure with the label map that the data was made with",
                        f"{what} {position}",
                    )
        self.pictures += 1
        image = self.pictures
        self.images.append({"id": image, "width": sample.image.width, "height": sample.image.height})
        truths = sample.boxes
        for label, (xmin, ymin, xmax, ymax), more in zip(truths.labels, truths.edges, truths.attributes, strict=True):
            crowd = _is_set(more.get("iscrowd"))
            self.boxes += 1
            self.truths[label] += not crowd
            self.difficult += _is_set(more.get("difficult"))
            width, height = xmax - xmin, ymax - ymin
            self.without_area += width * height == 0
            self.annotations.append(
                {
                    "id": self.boxes,
                    "image_id": image,
                    "category_id": self.label_map.id(label),
                    "bbox": [xmin, ymin, width, height],
                    "area": width * height,
                    "iscrowd": int(crowd),
                }
            )
        seen = detections.boxes
        for label, (xmin, ymin, xmax, ymax), score in zip(seen.labels, seen.edges, detections.scores, strict=True):
            self.found.append((image, xmin, ymin, xmax - xmin, ymax - ymin, score, self.label_map.id(label)))

    def hand_to(self, matching: Any) -> None:
        """Matches what waits, and forgets it."""
        if self.images:
            found = np.array(self.found, dtype=np.float64).reshape(-1, 7)
            matching.update(self.images, self.annotations, found)
            self.images, self.annotations, self.found = [], [], []

    def notes(self) -> list[str]:
        """What a reader of the numbers should know."""
        said = []
        if self.difficult:
            said.append(f"boxes marked difficult count like all others, as COCO knows no such mark: {self.difficult}")
        if self.without_area:
            said.append(f"boxes without area cannot be found and count as missed: {self.without_area}")
        return said


def _is_set(value: object) -> bool:
    """Whether a flag of an annotation says yes, however its format wrote it."""
    return str(value).strip().lower() in ("1", "1.0", "true", "yes")


def _summary(precision: NDArray[Any], recall: NDArray[Any]) -> dict[str, float]:
    """The twelve numbers.

    Args:
        precision: (IoU thresholds, recalls, classes, areas, detections a picture), -1 where there is no truth.
        recall: The same without the second axis.
    """
    return dict(
        zip(
            _NAMES,
            (
                _mean(precision[:, :, :, _ALL, _BEST_100]),
                _mean(precision[_IOU_50, :, :, _ALL, _BEST_100]),
                _mean(precision[_IOU_75, :, :, _ALL, _BEST_100]),
                *(_mean(precision[:, :, :, area, _BEST_100]) for area in (_SMALL, _MEDIUM, _LARGE)),
                *(_mean(recall[:, :, _ALL, best]) for best in (_BEST_1, _BEST_10, _BEST_100)),
                *(_mean(recall[:, :, area, _BEST_100]) for area in (_SMALL, _MEDIUM, _LARGE)),
            ),
            strict=True,
        )
    )


def _of_class(precision: NDArray[Any], recall: NDArray[Any], place: int) -> dict[str, float]:
    return {
        "AP": _mean(precision[:, :, place, _ALL, _BEST_100]),
        "AP50": _mean(precision[_IOU_50, :, place, _ALL, _BEST_100]),
        "AR100": _mean(recall[:, place, _ALL, _BEST_100]),
    }


def _mean(values: NDArray[Any]) -> float:
    """The mean over what could be measured, ``nan`` where nothing could."""
    measured = values[values > -1]
    return float(np.mean(measured)) if measured.size else float("nan")
