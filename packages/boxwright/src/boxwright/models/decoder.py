"""How detections are chosen among a model's predictions: settings that are data, and the suppression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from boxwright.boxes import iou
from boxwright.label_map import LabelMap
from boxwright.schemas import Detections

Floats = NDArray[np.float32]

PerClass = float | tuple[float, ...]
"""One number, or one per class in the order of the label map."""


@dataclass(frozen=True)
class DecoderSettings:
    """How detections are chosen among the predictions of all anchors.

    Attributes:
        score_threshold: Detections with a lower score are dropped.
        iou_threshold: Of two detections with a higher IoU, the one with the higher score is kept; one number, or one
            per class in the order of the label map.
        max_detections: Maximum number per image.
        pre_nms: Number of best predictions per image that enter non-maximum suppression.
        soft_nms_sigma: If positive, overlapping detections lose score instead of being dropped (Bodla et al. 2017).
        suppression: Which detections suppress each other: ``"class"``, those of one class; ``"all"``, those of all
            classes; ``"fusion"``, those of one class, which become one box, their weighted mean (Solovyev et al. 2021).
        score: The lowest score of a detection that is shown or counted: ``boxwright predict`` leaves out the others,
            and metrics that average over scores use them. One number, or one per class.
        clips_first: Whether boxes are clipped to the input before the suppression. The TensorFlow Object Detection API
            clips afterwards, so boxes that extend beyond the image overlap less.
    """

    score_threshold: float = 0.05
    iou_threshold: PerClass = 0.5
    max_detections: int = 100
    pre_nms: int = 1000
    soft_nms_sigma: float = 0.0
    suppression: str = "class"
    score: PerClass = 0.3
    clips_first: bool = True

    def __post_init__(self) -> None:
        for name in ("iou_threshold", "score"):
            value = getattr(self, name)
            if isinstance(value, list | tuple):  # JSON has no tuples
                object.__setattr__(self, name, tuple(map(float, value)))
        for name in ("score_threshold", "iou_threshold", "score"):
            value = getattr(self, name)
            if not all(0 <= each <= 1 for each in (value if isinstance(value, tuple) else (value,))):
                raise ValueError(f"{name} must be from 0 to 1, not {value}")
        for name in ("max_detections", "pre_nms"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.soft_nms_sigma < 0:
            raise ValueError(f"soft_nms_sigma must be at least 0, not {self.soft_nms_sigma}")
        if self.suppression not in SUPPRESSIONS:
            raise ValueError(f"suppression must be one of {', '.join(SUPPRESSIONS)}, not {self.suppression!r}")

    @property
    def is_common(self) -> bool:
        """Whether the suppression of common runtimes does the same: one IoU threshold, no Soft-NMS, no fusion."""
        return not (isinstance(self.iou_threshold, tuple) or self.soft_nms_sigma or self.suppression == "fusion")

    def shown(self, found: Detections, label_map: LabelMap) -> Detections:
        """Returns the detections with at least the score of their class."""
        if not isinstance(self.score, tuple):
            return found.above(self.score)
        least = dict(zip(label_map.names, self.score, strict=True))
        kept = [score >= least[label] for label, score in zip(found.boxes.labels, found.scores, strict=True)]
        return Detections(image=found.image, boxes=found.boxes.select(kept))

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DecoderSettings:
        """Returns the settings of :meth:`to_dict`.

        Raises:
            TypeError: A setting is unknown.
            ValueError: A value is out of range.
        """
        return cls(**data)


SUPPRESSIONS = ("class", "all", "fusion")
"""The values of :attr:`DecoderSettings.suppression`."""


class Found(NamedTuple):
    """The detections in one image, best first.

    Attributes:
        boxes: ``(D, 4)``, ``xyxy`` in pixels of the network's input.
        scores: ``(D,)``, 0 to 1.
        classes: ``(D,)``, from 0 in the order of the label map.
    """

    boxes: Floats
    scores: Floats
    classes: NDArray[np.int64]


def choose_detections(
    boxes: NDArray[Any], scores: NDArray[Any], classes: NDArray[np.int64], settings: DecoderSettings
) -> Found:
    """Suppresses detections that overlap better ones.

    Non-maximum suppression drops them, Soft-NMS multiplies their scores by ``exp(-iou**2 / sigma)`` (Bodla et al.
    2017, equation 3), and weighted boxes fusion adds them to the mean of a cluster, weighted by score; its score is the
    best one in it (Solovyev et al. 2021, section 3, for one model).

    Args:
        boxes: ``(N, 4)``, ``xyxy``, in any unit.
        scores: ``(N,)``, 0 to 1.
        classes: ``(N,)``, from 0 in the order of the label map.
        settings: The settings of the decoder.

    Returns:
        The detections, best first.
    """
    if settings.suppression == "fusion":
        return _fused(boxes, scores, classes, settings)
    if settings.iou_threshold == 1.0 and not settings.soft_nms_sigma:  # no IoU is higher
        order = np.argsort(-scores, kind="stable")
        order = order[scores[order] > settings.score_threshold][: settings.max_detections]
        return Found(boxes[order], scores[order].astype(np.float32), classes[order])
    thresholds = np.broadcast_to(settings.iou_threshold, int(classes.max(initial=-1)) + 1)
    if not settings.soft_nms_sigma:
        chosen = _suppressed(boxes, scores, classes, settings, thresholds)
        return Found(boxes[chosen], scores[chosen].astype(np.float32), classes[chosen])
    left = scores.copy()
    places: list[int] = []
    kept: list[float] = []
    while len(places) < settings.max_detections and len(left):
        best = int(left.argmax())
        if left[best] <= settings.score_threshold:
            break
        places.append(best)
        kept.append(float(left[best]))
        left[best] = 0
        rivals = np.flatnonzero((left > 0) & ((settings.suppression == "all") | (classes == classes[best])))
        left[rivals] *= np.exp(-(iou(boxes[None, best], boxes[rivals])[0] ** 2) / settings.soft_nms_sigma)
    return Found(boxes[places], np.array(kept, np.float32), classes[places])


def _suppressed(
    boxes: NDArray[Any],
    scores: NDArray[Any],
    classes: NDArray[np.int64],
    settings: DecoderSettings,
    thresholds: NDArray[np.float64],
) -> list[int]:
    """Returns the positions that non-maximum suppression keeps, best first, with the IoU of :func:`boxwright.iou`."""
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > settings.score_threshold]
    x1, y1, x2, y2 = np.ascontiguousarray(boxes[order].T, np.float64)
    areas, kinds = np.maximum(x2 - x1, 0) * np.maximum(y2 - y1, 0), classes[order]
    left = np.ones(len(order), bool)
    chosen: list[int] = []
    for best, place in enumerate(order.tolist()):
        if not left[best]:
            continue
        chosen.append(place)
        if len(chosen) == settings.max_detections:
            break
        rest = slice(best + 1, None)
        width = np.minimum(x2[rest], x2[best]) - np.maximum(x1[rest], x1[best])
        height = np.minimum(y2[rest], y2[best]) - np.maximum(y1[rest], y1[best])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        overlap = shared / np.maximum(areas[rest] + areas[best] - shared, np.finfo(np.float64).tiny)
        near = overlap > thresholds[kinds[best]]
        left[rest] &= ~near if settings.suppression == "all" else ~near | (kinds[rest] != kinds[best])
    return chosen


def _fused(boxes: NDArray[Any], scores: NDArray[Any], classes: NDArray[np.int64], settings: DecoderSettings) -> Found:
    thresholds = np.broadcast_to(settings.iou_threshold, classes.max(initial=-1) + 1)
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > settings.score_threshold]
    fused, sums, weights = np.zeros((len(order), 4)), np.zeros((len(order), 4)), np.zeros(len(order))
    first: list[int] = []
    for place in order:
        of_class = [number for number, best in enumerate(first) if classes[best] == classes[place]]
        overlap = iou(boxes[None, place], fused[of_class])[0]
        if len(of_class) and overlap.max() > thresholds[classes[place]]:
            cluster = of_class[int(overlap.argmax())]
        else:
            cluster = len(first)
            first.append(int(place))
        sums[cluster] += boxes[place].astype(np.float64) * scores[place]
        weights[cluster] += scores[place]
        fused[cluster] = sums[cluster] / weights[cluster]
    first = first[: settings.max_detections]
    return Found(fused[: len(first)].astype(np.float32), scores[first].astype(np.float32), classes[first])


def raw(decoder: DecoderSettings) -> DecoderSettings:
    """Returns the settings that keep all predictions that would enter the suppression."""
    return replace(decoder, iou_threshold=1.0, soft_nms_sigma=0.0, suppression="class", max_detections=decoder.pre_nms)


EVERYTHING = DecoderSettings(score_threshold=0.0, iou_threshold=1.0, max_detections=1_000_000)
"""The settings that keep the detections of a model that has chosen them already."""
