"""The metrics ``f1`` and ``count``: what a user of one score sees."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from boxwright.label_map import LabelMap
from boxwright.matching import NOTHING, find_hits
from boxwright.models.protocols import MetricResult
from boxwright.models.resampling import draw_images
from boxwright.models.scene import Scene
from boxwright.schemas import Detections, Sample

Numbers = NDArray[np.float64]


class F1Metric:
    """The metric ``f1``: precision, recall and their harmonic mean at one score.

    Detections are matched as by pycocotools at one IoU. A detection in a region is not counted.

    Args:
        score: The lowest score of a detection that counts; one number, or one per class.
        iou: Boxes with a smaller IoU do not match.
        draws: The number of draws for the intervals; 0 for none.
    """

    def __init__(self, score: float | Sequence[float] = 0.3, iou: float = 0.5, draws: int = 1000) -> None:
        self.score, self.iou, self.draws = score, iou, draws

    def __call__(self, pairs: Iterable[tuple[Sample, Detections]], label_map: LabelMap) -> MetricResult:
        """Counts objects that are found, objects that are not, and false alarms, over all classes and by class.

        Raises:
            DataError: A ground-truth box or a detection has a class that is not in the label map.
        """
        least = np.broadcast_to(np.asarray(self.score, np.float64), len(label_map))
        rows = [_outcomes(Scene.of(*pair, label_map), least, self.iou) for pair in pairs]
        counts = np.stack(rows) if rows else np.zeros((0, 3, len(label_map)))
        sums = counts.sum(axis=0)
        values = _rates(*sums.sum(axis=1))
        drawn = _rates(*np.moveaxis(draw_images(len(counts), self.draws) @ counts.sum(axis=2), -1, 0))
        result = MetricResult(
            {name: float(value) for name, value in values.items()}
            | dict(zip(("objects", "found", "false alarms"), map(float, sums.sum(axis=1)), strict=True)),
            {
                name: {key: float(value) for key, value in _rates(*sums[:, number]).items()}
                | {"truths": float(sums[0, number])}
                for number, name in enumerate(label_map.names)
            },
            main="F1",
            notes=[f"detections with a score of {_text(self.score)} or more, at an IoU of {self.iou:g}"],
        )
        if self.draws and len(counts) > 1:
            result.drawn = drawn
        return result


class CountMetric:
    """The metric ``count``: the number of detections in each image, compared with the number of objects.

    Args:
        score: The lowest score of a detection that counts; one number, or one per class.
        draws: The number of draws for the intervals; 0 for none.
    """

    def __init__(self, score: float | Sequence[float] = 0.3, draws: int = 1000) -> None:
        self.score, self.draws = score, draws

    def __call__(self, pairs: Iterable[tuple[Sample, Detections]], label_map: LabelMap) -> MetricResult:
        """Compares the counts of each class in each image.

        Raises:
            DataError: A ground-truth box or a detection has a class that is not in the label map.
        """
        least = np.broadcast_to(np.asarray(self.score, np.float64), len(label_map))
        rows = []
        for pair in pairs:
            objects, found, wrong = _outcomes(Scene.of(*pair, label_map), least, 0.5)
            rows.append((objects, found + wrong))
        counts = np.array(rows, np.float64).reshape(-1, 2, len(label_map))
        off = counts[:, 1] - counts[:, 0]
        of_image = np.stack([(off == 0).all(axis=1), np.abs(off).sum(axis=1), off.sum(axis=1)], axis=1)
        if not counts.any():
            of_image = of_image[:0]
        names = ("exact", "error", "bias")
        totals = counts.sum(axis=(0, 2))
        result = MetricResult(
            dict(zip(names, _means(of_image), strict=True))
            | {"objects": totals[0].item(), "detected": totals[1].item()},
            {
                name: {
                    "error": _means(np.abs(off[:, number, None]))[0],
                    "bias": _means(off[:, number, None])[0],
                    "detected": counts[:, 1, number].sum().item(),
                    "truths": counts[:, 0, number].sum().item(),
                }
                for number, name in enumerate(label_map.names)
            },
            main="exact",
            notes=[f"detections with a score of {_text(self.score)} or more"],
        )
        if self.draws and len(of_image) > 1:
            drawn = draw_images(len(of_image), self.draws) @ of_image / len(of_image)
            result.drawn = dict(zip(names, drawn.T, strict=True))
        return result


def _outcomes(scene: Scene, least: Numbers, iou: float) -> Numbers:
    """Returns the objects, those that are found, and the false alarms, by class: ``(3, classes)``."""
    shown = scene.scores >= least[scene.classes]
    boxes, classes = scene.boxes[shown], scene.classes[shown]
    hits = find_hits(boxes, classes, scene.truth, scene.truth_classes, scene.regions, iou)
    found = np.bincount(classes[hits >= 0], minlength=len(least))
    wrong = np.bincount(classes[hits == NOTHING], minlength=len(least))
    return np.stack([scene.objects, found, wrong]).astype(np.float64)


def _rates(objects: Numbers, found: Numbers, wrong: Numbers) -> dict[str, Numbers]:
    """Returns F1, precision and recall; ``nan`` without objects, and a precision of ``nan`` without detections."""
    with np.errstate(invalid="ignore", divide="ignore"):
        some = np.where(objects > 0, 1.0, np.nan)
        return {
            "F1": some * 2 * found / (objects + found + wrong),
            "precision": found / (found + wrong),
            "recall": found / objects,
        }


def _means(values: Numbers) -> list[float]:
    return values.mean(axis=0).tolist() if len(values) else [math.nan] * values.shape[1]


def _text(score: float | Sequence[float]) -> str:
    return ", ".join(f"{each:g}" for each in np.ravel(score))
