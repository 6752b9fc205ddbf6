"""What can be wrong with the boxes of one picture."""

from __future__ import annotations

from collections.abc import Iterator

from boxwright.analysis.validation.checks import Problem
from boxwright.schemas import Edges, Sample

SAME = 0.99
"""Boxes that overlap by a greater IoU are at one place."""
_SLACK = 1.0
"""Pixels within which a box that ends beside the border covers the whole picture."""


def box_problems(sample: Sample, tiny: float) -> Iterator[Problem]:
    """The problems of a picture's boxes, box by box, then those of pairs.

    Args:
        sample: The picture.
        tiny: A box is tiny if its shorter side is below so many pixels.
    """
    labels, edges = sample.boxes.labels, sample.boxes.edges
    file = sample.source or sample.image.name
    width, height = sample.image.width, sample.image.height
    for position, box in enumerate(edges):
        xmin, ymin, xmax, ymax = box
        fits = xmin >= 0 and ymin >= 0 and xmax <= width and ymax <= height
        side = min(xmax - xmin, ymax - ymin)
        if fits and side >= tiny and (xmin > _SLACK or ymin > _SLACK):
            continue  # true of nearly all
        if found := _flaw(box, width, height, tiny):
            check, text = found
            yield Problem(check, file, text, _place(position, labels[position]))
    if len(edges) > 1:
        for one, two in same_places(edges):
            same = labels[one] == labels[two]
            yield Problem(
                "duplicate_box" if same else "contradicting_boxes",
                file,
                f"at the place of {_place(one, labels[one])}",
                _place(two, labels[two]),
            )


def _flaw(box: Edges, width: int, height: int, tiny: float) -> tuple[str, str] | None:
    xmin, ymin, xmax, ymax = box
    wide, high = xmax - xmin, ymax - ymin
    size = f"{wide:g} x {high:g} pixels"
    if not wide or not high:
        return "box_without_area", f"{size} at {xmin:g}, {ymin:g}"
    if xmin >= width or ymin >= height or xmax <= 0 or ymax <= 0:
        return "box_outside", f"{_numbers(box)} in a picture of {width}x{height}"
    beyond = {"left": -xmin, "top": -ymin, "right": xmax - width, "bottom": ymax - height}
    if over := [f"{by:g} px beyond the {side}" for side, by in beyond.items() if by > 0]:
        return "box_over_border", ", ".join(over)
    if min(wide, high) < tiny:
        return "tiny_box", size
    if xmin <= _SLACK and ymin <= _SLACK and xmax >= width - _SLACK and ymax >= height - _SLACK:
        return "whole_picture_box", size
    return None


def same_places(edges: tuple[Edges, ...]) -> Iterator[tuple[int, int]]:
    """Pairs of positions whose boxes overlap by an IoU above :data:`SAME`, the earlier first; sorted by left edge.

    The work grows little faster than the number of boxes: a box so much the same begins at most a hundredth of its
    width further right.
    """
    order = sorted(range(len(edges)), key=lambda i: edges[i][0])
    for place, one in enumerate(order):
        x1, y1, x2, y2 = edges[one]
        area = (x2 - x1) * (y2 - y1)
        if not area:
            continue
        limit = x1 + (x2 - x1) * (1 / SAME - 1)
        for two in order[place + 1 :]:
            a1, b1, a2, b2 = edges[two]
            if a1 > limit:
                break
            shared = (min(x2, a2) - max(x1, a1)) * (min(y2, b2) - max(y1, b1))
            if min(x2, a2) > a1 and min(y2, b2) > max(y1, b1):
                union = area + (a2 - a1) * (b2 - b1) - shared
                if shared > SAME * union:
                    yield min(one, two), max(one, two)


def _place(position: int, label: str) -> str:
    return f"box {position + 1} ({label})"


def _numbers(box: Edges) -> str:
    return ", ".join(f"{edge:g}" for edge in box)
