"""Checks of the boxes of one image."""

from __future__ import annotations

from collections.abc import Iterator

from boxwright.analysis.validation.checks import Problem
from boxwright.models.job import USUAL_DETECTIONS
from boxwright.schemas import Coordinates, Sample

SAME = 0.99
"""Boxes with a greater IoU are at the same position."""
_SLACK = 1.0
"""Distance in pixels between a box and the edges of an image that it covers."""


def box_problems(sample: Sample, tiny: float) -> Iterator[Problem]:
    """Yields the problems of an image's boxes, box by box, then those of pairs.

    Args:
        sample: The image.
        tiny: Boxes with a shorter side below this number of pixels are tiny.
    """
    labels, coordinates = sample.boxes.labels, sample.boxes.coordinates
    file = sample.source or sample.image.name
    width, height = sample.image.width, sample.image.height
    for position, box in enumerate(coordinates):
        xmin, ymin, xmax, ymax = box
        fits = xmin >= 0 and ymin >= 0 and xmax <= width and ymax <= height
        side = min(xmax - xmin, ymax - ymin)
        if fits and side >= tiny and (xmin > _SLACK or ymin > _SLACK):
            continue  # true for nearly all
        if found := _flaw(box, width, height, tiny):
            check, text = found
            yield Problem(check, file, text, _place(position, labels[position]))
    if len(coordinates) > USUAL_DETECTIONS:
        yield Problem("crowded_picture", file, f"{len(coordinates)} boxes")
    if len(coordinates) > 1:
        for one, two in same_positions(coordinates):
            same = labels[one] == labels[two]
            yield Problem(
                "duplicate_box" if same else "contradicting_boxes",
                file,
                f"at the position of {_place(one, labels[one])}",
                _place(two, labels[two]),
            )


def _flaw(box: Coordinates, width: int, height: int, tiny: float) -> tuple[str, str] | None:
    xmin, ymin, xmax, ymax = box
    wide, high = xmax - xmin, ymax - ymin
    size = f"{wide:g} x {high:g} pixels"
    if not wide or not high:
        return "box_without_area", f"{size} at {xmin:g}, {ymin:g}"
    if xmin >= width or ymin >= height or xmax <= 0 or ymax <= 0:
        return "box_outside", f"{_numbers(box)} in an image of {width}x{height}"
    beyond = {"left": -xmin, "top": -ymin, "right": xmax - width, "bottom": ymax - height}
    if over := [f"{by:g} px beyond the {side}" for side, by in beyond.items() if by > 0]:
        return "box_over_border", ", ".join(over)
    if min(wide, high) < tiny:
        return "tiny_box", size
    if xmin <= _SLACK and ymin <= _SLACK and xmax >= width - _SLACK and ymax >= height - _SLACK:
        return "whole_picture_box", size
    return None


def same_positions(coordinates: tuple[Coordinates, ...]) -> Iterator[tuple[int, int]]:
    """Yields pairs of indices of boxes with an IoU above :data:`SAME`, the lower index first; sorted by ``xmin``.

    The work grows little faster than the number of boxes, because the second box of a pair starts at most 1 % of the
    width further right.
    """
    order = sorted(range(len(coordinates)), key=lambda i: coordinates[i][0])
    for rank, one in enumerate(order):
        x1, y1, x2, y2 = coordinates[one]
        area = (x2 - x1) * (y2 - y1)
        if not area:
            continue
        limit = x1 + (x2 - x1) * (1 / SAME - 1)
        for two in order[rank + 1 :]:
            a1, b1, a2, b2 = coordinates[two]
            if a1 > limit:
                break
            shared = (min(x2, a2) - max(x1, a1)) * (min(y2, b2) - max(y1, b1))
            if min(x2, a2) > a1 and min(y2, b2) > max(y1, b1):
                union = area + (a2 - a1) * (b2 - b1) - shared
                if shared > SAME * union:
                    yield min(one, two), max(one, two)


def _place(position: int, label: str) -> str:
    return f"box {position + 1} ({label})"


def _numbers(box: Coordinates) -> str:
    return ", ".join(f"{each:g}" for each in box)
