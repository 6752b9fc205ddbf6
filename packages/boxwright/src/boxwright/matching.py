"""Which box of one annotation is which box of another, of the same picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from boxwright.boxes import iou
from boxwright.schemas import Edges

_NEAR = 2.0
"""Boxes none of whose edges differ by more pixels are one box, however little such small ones overlap."""
_PAIRS = 1 << 20
"""So many pairs of boxes are looked at together."""


@dataclass
class Matching:
    """The pairs, and what is left over; all as positions.

    Attributes:
        pairs: Positions in the first and in the second annotation.
        removed: Positions in the first that the second has nothing for.
        added: Positions in the second that the first has nothing for.
    """

    pairs: list[tuple[int, int]] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    added: list[int] = field(default_factory=list)


def match_boxes(
    first_labels: Sequence[str],
    first: Sequence[Edges],
    second_labels: Sequence[str],
    second: Sequence[Edges],
    *,
    least_iou: float = 0.5,
    near: float = _NEAR,
) -> Matching:
    """Pairs boxes: equal ones, then those of one class, then those of two classes, each time the best pair first.

    Args:
        first_labels: The classes of the first annotation's boxes.
        first: Its boxes, pixels.
        second_labels: The classes of the second's.
        second: Its boxes, pixels of the same frame.
        least_iou: Boxes that overlap less are not the same one,
        near: unless none of their edges differ by more pixels than this.
    """
    result = Matching()
    waiting: dict[tuple[str, Edges], list[int]] = {}
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
        left, right = _take_best(candidates, left, right, first_labels, second_labels, result, same_class=same_class)
    result.pairs.sort()
    result.removed, result.added = left, right
    return result


def _candidates(
    left: Sequence[int],
    right: Sequence[int],
    first: Sequence[Edges],
    second: Sequence[Edges],
    least_iou: float,
    near: float,
) -> Iterator[tuple[float, float, int, int]]:
    """Less than nothing of overlap, distance, and the two positions: the smallest is the best pair."""
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
            yield -float(overlap[row, column]), float(distance[row, column]), part[row], right[column]


def _take_best(
    candidates: Sequence[tuple[float, float, int, int]],
    left: Sequence[int],
    right: Sequence[int],
    first_labels: Sequence[str],
    second_labels: Sequence[str],
    result: Matching,
    *,
    same_class: bool,
) -> tuple[list[int], list[int]]:
    free, others = dict.fromkeys(left), dict.fromkeys(right)
    for _, _, one, two in candidates:
        if one in free and two in others and (first_labels[one] == second_labels[two]) == same_class:
            result.pairs.append((one, two))
            del free[one], others[two]
    return list(free), list(others)
