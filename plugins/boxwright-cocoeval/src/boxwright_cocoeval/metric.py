"""Average precision and recall as the COCO detection challenge defines them.

The definition is https://cocodataset.org/#detection-eval. Every number equals that of pycocotools exactly: hotcoco
matches the boxes, and the means are computed as in ``COCOeval.summarize``.
"""

from __future__ import annotations

import gc
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import hotcoco
import numpy as np
from numpy.typing import NDArray

from boxwright import DataError, Detections, LabelMap, MetricResult, Sample, UsageError, are_regions, is_set
from boxwright_cocoeval.drawn import Matches, numbers_of_draws

_ALL, _SMALL, _MEDIUM, _LARGE = range(4)
"""Indices of the area axis: all; under 32x32, 32x32 to 96x96, and over 96x96 square pixels."""

_BEST_1, _BEST_10, _BEST_ALL = range(3)
"""Indices of the axis of the largest number of detections per image and class."""

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
        iou: IoU thresholds to average over, such as ``0.3/0.5``, instead of COCO's ten.
        sizes: The sides of squares, in pixels, between small, medium and large objects, such as ``16/64``, instead of
            COCO's 32 and 96.
        draws: The number of draws for the intervals of AP, AP50, AP75 and AR100; 0 for none.
    """

    def __init__(self, max_detections: int = 100, iou: str = "", sizes: str = "", draws: int = 1000) -> None:
        self.max_detections = max_detections
        self.thresholds = _parsed("iou", iou, at_most=1.0)
        self.sizes = _parsed("sizes", sizes)
        if self.sizes and len(self.sizes) != 2:
            raise UsageError(f"the option sizes is {sizes!r}", "give two sides in pixels, such as 32/96")
        self.draws = draws

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
        if self.thresholds:
            parameters.iou_thrs = self.thresholds
        if self.sizes:
            small, large = (side**2 for side in self.sizes)
            parameters.area_rng = [[0, _LARGEST], [0, small], [small, large], [large, _LARGEST]]
        thresholds = list(parameters.iou_thrs)
        draws = _Draws(categories, self.max_detections, thresholds) if self.draws else None
        matching = hotcoco.StreamingEval(categories, "bbox", params=parameters)
        batch = _Batch(label_map, self.max_detections)
        for sample, detections in pairs:
            batch.add(sample, detections)
            if len(batch.images) == _BATCH:
                batch.match(matching, draws)
        batch.match(matching, draws)
        if not categories:
            return MetricResult(values=dict.fromkeys(_names(self.max_detections), float("nan")), main="AP")
        evaluation: Any = matching.finalize()
        evaluation.accumulate()
        precision = np.asarray(evaluation.eval["precision"])
        recall = np.asarray(evaluation.eval["recall"])
        # hotcoco orders classes by id, as pycocotools does; a label map may list them in another order.
        index = {class_id: position for position, class_id in enumerate(sorted(item.id for item in label_map.items))}
        return MetricResult(
            values=_summary(precision, recall, self.max_detections, thresholds),
            drawn=draws.numbers(batch.image, self.draws) if draws is not None and batch.image > 1 else {},
            per_class={
                item.name: _of_class(precision, recall, index[item.id], self.max_detections, thresholds)
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
    detections: list[NDArray[np.float64]] = field(default_factory=list)
    image: int = 0
    boxes: int = 0
    difficult: int = 0
    zero_area: int = 0
    crowded: int = 0
    largest: int = 0
    ground_truth: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ground_truth = dict.fromkeys(self.label_map.names, 0)
        self.known = frozenset(self.label_map.names)
        self.ids = {item.name: item.id for item in self.label_map.items}

    def add(self, sample: Sample, detections: Detections) -> None:
        """Adds one image."""
        regions = are_regions(sample.boxes)
        objects = [not region for region in regions]
        for what, labels, counts in (
            ("ground-truth box", sample.boxes.labels, objects),
            ("detection", detections.boxes.labels, None),
        ):
            if self.known.issuperset(labels):
                continue
            for position, label in enumerate(labels):
                if label not in self.known and (counts is None or counts[position]):
                    raise DataError(
                        sample.source or sample.image.name,
                        f"the class {label!r} is not in the label map ({', '.join(self.label_map.names)})",
                        "evaluate with the label map of the data",
                        f"{what} {position + 1}",
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
            for name in [label] if label in self.known else sorted(set(detections.boxes.labels)):
                self.boxes += 1
                self.ground_truth[name] += not region
                self.annotations.append(
                    {
                        "id": self.boxes,
                        "image_id": self.image,
                        "category_id": self.ids[name],
                        "bbox": [xmin, ymin, width, height],
                        "area": area,
                        "iscrowd": int(region),
                    }
                )
        numbers = Counter(sample.boxes.labels).values()
        self.crowded += max(numbers, default=0) > self.most
        self.largest = max(self.largest, *numbers, 0)
        if found := detections.boxes:
            xyxy = found.xyxy
            rows = np.empty((len(xyxy), 7))
            rows[:, 0] = self.image
            rows[:, 1:3] = xyxy[:, :2]
            rows[:, 3:5] = xyxy[:, 2:] - xyxy[:, :2]
            rows[:, 5] = detections.scores
            rows[:, 6] = [self.ids[label] for label in found.labels]
            self.detections.append(rows)

    def match(self, matching: Any, draws: _Draws | None = None) -> None:
        """Matches the images, and empties the columns."""
        if self.images:
            detections = np.concatenate([np.zeros((0, 7)), *self.detections])
            matching.update(self.images, self.annotations, detections)
            if draws is not None:
                draws.add(self.images, self.annotations, detections)
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


class _Draws:
    """The matches of all images, from which the numbers on resampled images are calculated."""

    def __init__(self, categories: list[dict[str, Any]], most: int, thresholds: list[float]) -> None:
        self.categories, self.most, self.thresholds = categories, most, thresholds
        self.matches: list[Matches] = []

    def add(self, images: list[dict[str, Any]], annotations: list[dict[str, Any]], detections: NDArray[Any]) -> None:
        """Matches more images."""
        if not self.categories:
            return
        content = {"images": images, "annotations": annotations, "categories": self.categories}
        truth = hotcoco.COCO(content)
        evaluation: Any = hotcoco.COCOeval(truth, truth.load_res(detections), "bbox")
        evaluation.params.area_rng, evaluation.params.area_rng_lbl = [[0, _LARGEST]], ["all"]
        evaluation.params.max_dets, evaluation.params.iou_thrs = [self.most], self.thresholds
        evaluation.evaluate()
        with _without_garbage_collection():
            self.matches.append(Matches.of(evaluation.eval_imgs, len(self.thresholds)))

    def numbers(self, images: int, draws: int) -> dict[str, NDArray[np.float64]]:
        """Returns the values of AP, AP50, AP75 and AR100 in each draw."""
        precision, recall = numbers_of_draws(Matches.merged(self.matches), images, draws)
        named = {"AP": precision, f"AR{self.most}": recall}
        for name, least in (("AP50", 0.5), ("AP75", 0.75)):
            place = _place(self.thresholds, least)
            if place is not None:
                named[name] = precision[..., place, None]
        return {name: _means(values) for name, values in named.items()}


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """The matches of a batch are 300,000 small lists, during which the garbage collector would search all objects."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _means(values: NDArray[Any]) -> NDArray[np.float64]:
    """Returns the mean of each draw over what could be measured."""
    counted = np.isfinite(values).sum(axis=(1, 2))
    sums = np.nansum(values, axis=(1, 2))
    means: NDArray[np.float64] = np.divide(sums, counted, out=np.full(len(values), np.nan), where=counted > 0)
    return means


def _place(thresholds: list[float], wanted: float) -> int | None:
    return next((place for place, each in enumerate(thresholds) if abs(each - wanted) < _SAME), None)


def _parsed(name: str, text: str, at_most: float = math.inf) -> list[float]:
    """Returns the ascending numbers of an option such as ``0.3/0.5``."""
    try:
        numbers = [float(part) for part in text.split("/")] if text else []
    except ValueError:
        numbers = [math.nan]
    if not all(0 < each <= at_most for each in numbers) or numbers != sorted(set(numbers)):
        raise UsageError(f"the option {name} is {text!r}", "give ascending numbers such as 0.3/0.5")
    return numbers


_LARGEST = 1e10
"""COCO's largest area."""
_SAME = 1e-6


def _area(given: object, of_box: float) -> float:
    """Returns the area of an annotation: the number that was given, else that of its box."""
    valid = isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given < math.inf
    return float(given) if valid else of_box  # type: ignore[arg-type]


def _summary(precision: NDArray[Any], recall: NDArray[Any], most: int, thresholds: list[float]) -> dict[str, float]:
    """Returns the twelve numbers.

    Args:
        precision: Shape (IoU thresholds, recall values, classes, areas, detections per image), -1 without ground truth.
        recall: The same without the second axis.
        most: The largest number of detections per image.
        thresholds: The IoU thresholds.
    """
    return dict(
        zip(
            _names(most),
            (
                _mean(precision[:, :, :, _ALL, _BEST_ALL]),
                *(_at(precision[:, :, :, _ALL, _BEST_ALL], thresholds, least) for least in (0.5, 0.75)),
                *(_mean(precision[:, :, :, area, _BEST_ALL]) for area in (_SMALL, _MEDIUM, _LARGE)),
                *(_mean(recall[:, :, _ALL, best]) for best in (_BEST_1, _BEST_10, _BEST_ALL)),
                *(_mean(recall[:, :, area, _BEST_ALL]) for area in (_SMALL, _MEDIUM, _LARGE)),
            ),
            strict=True,
        )
    )


def _at(precision: NDArray[Any], thresholds: list[float], least: float) -> float:
    """Returns the average precision at one IoU threshold, ``nan`` if it is not one of those measured."""
    place = _place(thresholds, least)
    return math.nan if place is None else _mean(precision[place])


def _of_class(
    precision: NDArray[Any], recall: NDArray[Any], index: int, most: int, thresholds: list[float]
) -> dict[str, float]:
    return {
        "AP": _mean(precision[:, :, index, _ALL, _BEST_ALL]),
        "AP50": _at(precision[:, :, index, _ALL, _BEST_ALL], thresholds, 0.5),
        f"AR{most}": _mean(recall[:, index, _ALL, _BEST_ALL]),
    }


def _mean(values: NDArray[Any]) -> float:
    """Returns the mean of the values that were measured, ``nan`` if none was."""
    measured = values[values > -1]
    return float(np.mean(measured)) if measured.size else float("nan")
