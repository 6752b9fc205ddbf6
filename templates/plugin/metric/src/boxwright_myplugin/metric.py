"""Measures the average best overlap."""

from __future__ import annotations

import math
from collections.abc import Iterable

from boxwright import DataError, Detections, LabelMap, MetricResult, Sample, iou


class MyPluginMetric:
    """The mean of each object's highest IoU with a detection of its class."""

    def __call__(self, pairs: Iterable[tuple[Sample, Detections]], label_map: LabelMap) -> MetricResult:
        """Returns the metric; see :class:`boxwright.models.Metric`.

        Args:
            pairs: Ground truth and detections of each image; iterated over once, and not kept.
            label_map: The classes.

        Raises:
            DataError: A class is not in the label map.
        """
        overlaps: dict[str, list[float]] = {label: [] for label in label_map.names}
        for sample, found in pairs:
            _check(sample, found, label_map)
            table = iou(sample.boxes.xyxy, found.boxes.xyxy)
            for row, label in zip(table, sample.boxes.labels, strict=True):
                same = [overlap for overlap, other in zip(row, found.boxes.labels, strict=True) if other == label]
                overlaps[label].append(float(max(same, default=0.0)))
        return MetricResult(
            values={"overlap": _mean([overlap for each in overlaps.values() for overlap in each])},
            per_class={label: {"overlap": _mean(each)} for label, each in overlaps.items()},
            main="overlap",
        )


def _mean(numbers: list[float]) -> float:
    """Returns the mean, independent of the order; ``nan`` if there are no numbers."""
    return math.fsum(numbers) / len(numbers) if numbers else math.nan


def _check(sample: Sample, found: Detections, label_map: LabelMap) -> None:
    for label in (*sample.boxes.labels, *found.boxes.labels):
        if label not in label_map:
            raise DataError(
                sample.source or sample.image.name,
                f"the class {label!r} is not in the label map",
                f"rename it to one of these, or drop it: {', '.join(label_map.names)}",
            )
