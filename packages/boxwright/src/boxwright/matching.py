"""Matching: which box of one annotation or prediction is which box of another, of the same image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from boxwright.boxes import iou, share_inside
from boxwright.schemas import Boxes, Coordinates

_NEAR = 2.0
_PAIRS = 1 << 20
"""The number of pairs of boxes that are compared at once."""


@dataclass
class Matching:
    """The pairs, and the boxes without a partner; all as positions.

    Attributes:
        pairs: Positions in the first and in the second sequence, sorted.
        removed: Positions in the first without a partner.
        added: Positions in the second without a partner.
    """

    pairs: list[tuple[int, int]] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    added: list[int] = field(default_factory=list)


class _Candidate(NamedTuple):
    """A pair that could match; of two, the smaller is the better one."""

    negative_iou: float
    distance: float
    first: int
    second: int


def match_boxes(
    first_labels: Sequence[str],
    first: Sequence[Coordinates],
    second_labels: Sequence[str],
    second: Sequence[Coordinates],
    *,
    least_iou: float = 0.5,
    near: float = _NEAR,
) -> Matching:
    """Matches the boxes of two annotations: equal boxes, then boxes of one class, then boxes of two classes.

    Each step takes the best pair first.

    Args:
        first_labels: The labels of the first annotation's boxes.
        first: Its boxes, in pixels.
        second_labels: The labels of the second's.
        second: Its boxes, in pixels of the same image.
        least_iou: Boxes with a smaller IoU do not match,
        near: unless none of their coordinates differ by more than this number of pixels: small boxes may not overlap
            at all.
    """
    result = Matching()
    waiting: dict[tuple[str, Coordinates], list[int]] = {}
    for position in reversed(range(len(second))):
        waiting.setdefault((second_labels[position], second[position]), []).append(position)
    left = []
    for position, key in enumerate(zip(first_labels, first, strict=True)):
        if same := waiting.get(key):
            result.pairs.append((position, same.pop()))
        else:
            left.append(position)
    right = sorted(position for same in waiting.values() for position in same)
    candidates = sorted(_candidates(left, right, first, second, least_iou, near))
    for same_class in (True, False):
        suitable = (c for c in candidates if (first_labels[c.first] == second_labels[c.second]) == same_class)
        left, right = _take(suitable, left, right, result)
    result.pairs.sort()
    result.removed, result.added = left, right
    return result


def match_detections(detected: Boxes, reference: Boxes, least_iou: float) -> Matching:
    """Matches detections with reference boxes as PASCAL VOC does (VOC 2007 development kit, section 4.4).

    The detections take their turn in their order, the best score first. Each takes the box of its class that it
    overlaps most, of those that are still free.

    Args:
        detected: The detections, sorted by score.
        reference: The boxes that they are measured against.
        least_iou: Boxes with a smaller IoU do not match.
    """
    left, right = list(range(len(detected))), list(range(len(reference)))
    candidates = _candidates(left, right, detected.coordinates, reference.coordinates, least_iou)
    same_class = (c for c in candidates if detected.labels[c.first] == reference.labels[c.second])
    result = Matching()
    result.removed, result.added = _take(sorted(same_class, key=lambda c: (c.first, c)), left, right, result)
    return result


def find_hits(
    boxes: NDArray[Any],
    classes: NDArray[np.int64],
    objects: NDArray[Any],
    object_classes: NDArray[np.int64],
    regions: NDArray[np.bool_],
    least_iou: float = 0.5,
) -> NDArray[np.int64]:
    """Returns which object each detection in an image found, as pycocotools matches them.

    The detections take their turn in their order. Each takes the object of its class that it overlaps most, of those
    that are still free. Without one, it counts as right if at least ``least_iou`` of it is in a region of its class, or
    in one of no class.

    Args:
        boxes: The detections, the best score first, ``(D, 4)``, ``xyxy``.
        classes: Their classes, ``(D,)``.
        objects: The ground truth, ``(G, 4)``.
        object_classes: Its classes, ``(G,)``; -1 for a region of no class.
        regions: Whether each is a region, ``(G,)``; see :func:`boxwright.are_regions`.
        least_iou: Boxes with a smaller IoU do not match.

    Returns:
        ``(D,)``: a position in ``objects``, :data:`NOTHING` or :data:`IN_REGION`.
    """
    hits = np.full(len(boxes), NOTHING, np.int64)
    if not len(boxes) or not len(objects):
        return hits
    same = classes[:, None] == object_classes
    overlap = np.where(same & ~regions, iou(boxes, objects), 0.0)
    limit = min(least_iou, 1 - 1e-10)  # as in pycocotools
    for position in np.flatnonzero((overlap >= limit).any(axis=1)):
        best = int(overlap[position].argmax())
        if overlap[position, best] >= limit:
            hits[position] = best
            overlap[:, best] = 0.0
    if regions.any():
        inside = share_inside(boxes, objects) * (regions & (same | (object_classes == -1)))
        hits[(hits == NOTHING) & (inside >= limit).any(axis=1)] = IN_REGION
    return hits


NOTHING, IN_REGION = -1, -2
"""What :func:`find_hits` returns for a detection that is wrong, and for one that is ignored."""


def _candidates(
    left: Sequence[int],
    right: Sequence[int],
    first: Sequence[Coordinates],
    second: Sequence[Coordinates],
    least_iou: float,
    near: float = -1.0,
) -> Iterator[_Candidate]:
    if not left or not right:
        return
    others = np.array([second[i] for i in right], dtype=np.float64)
    rows = max(1, _PAIRS // len(right))
    for start in range(0, len(left), rows):
        part = left[start : start + rows]
        boxes = np.array([first[i] for i in part], dtype=np.float64)
        overlap = iou(boxes, others)
        distance = np.abs(boxes[:, None] - others[None]).max(axis=2)
        for row, column in zip(*np.nonzero((overlap >= least_iou) | (distance <= near)), strict=True):
            yield _Candidate(-float(overlap[row, column]), float(distance[row, column]), part[row], right[column])


def _take(
    candidates: Iterable[_Candidate], left: Sequence[int], right: Sequence[int], result: Matching
) -> tuple[list[int], list[int]]:
    """Adds the candidates to the pairs, in their order, and returns the positions that remain free."""
    free, others = dict.fromkeys(left), dict.fromkeys(right)
    for candidate in candidates:
        if candidate.first in free and candidate.second in others:
            result.pairs.append((candidate.first, candidate.second))
            del free[candidate.first], others[candidate.second]
    return list(free), list(others)
