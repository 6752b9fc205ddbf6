"""Attributes of boxes that are in pixels, taken along when boxes move: outlines (``segmentation``) and ``area``.

Both are COCO's (https://cocodataset.org/#format-data): a segmentation is a list of polygons ``[x1, y1, x2, y2, ...]``,
or a mask of the whole picture in run lengths. Polygons are moved and cut exactly; masks would have to be drawn again,
and are left out, which the steps say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boxwright import Boxes
from boxwright.images import turn_boxes

Points = NDArray[np.float64]
"""Shape (N, 2), x and y in pixels."""


def move(boxes: Boxes, edges: NDArray[Any], points: Callable[[Points], Points], factor: float) -> tuple[Boxes, int]:
    """Boxes with other edges, their outlines and areas taken along.

    Args:
        boxes: The boxes before.
        edges: Their new edges, shape (N, 4), pixels.
        points: Does to points what was done to the edges.
        factor: By how much areas grow.

    Returns:
        The boxes, and how many masks were left out.
    """
    if not any("segmentation" in each or "area" in each for each in boxes.attributes):
        return boxes.with_xyxy(edges), 0
    rows, masks = [], 0
    for attributes in boxes.attributes:
        row = dict(attributes)
        if "segmentation" in row:
            masks += not _replace_outline(row, points)
        if _is_number(row.get("area")):
            row["area"] *= factor
        rows.append(row)
    return Boxes.from_array(boxes.labels, edges, rows), masks


def cut(
    attributes: Mapping[str, Any], window: tuple[int, int, int, int], whole: float, rest: float
) -> tuple[dict[str, Any], list[str]]:
    """The attributes of a box of which only a part lies in a window.

    Args:
        attributes: Of the whole box.
        window: ``(left, top, right, bottom)`` in the picture's pixels; outlines are given from its upper left.
        whole: The area of the whole box, in square pixels.
        rest: The area of its part.

    Returns:
        The attributes, and the names of those that were left out. ``area`` becomes that of the cut outline, or of the
        part where it was that of the box; else nobody can tell it.
    """
    row, lost = dict(attributes), []
    polygons = None
    if "segmentation" in row:
        polygons = polygons_of(row["segmentation"])
        if polygons is None:
            del row["segmentation"]
            lost.append("segmentation")
        else:
            polygons = [part for polygon in polygons if len(part := clip_polygon(polygon, window)) >= 3]
            row["segmentation"] = [(part - window[:2]).ravel().tolist() for part in polygons]
    if "area" in row:
        if polygons is not None:
            row["area"] = sum(map(polygon_area, polygons))
        elif _is_number(row["area"]) and abs(row["area"] - whole) <= 1e-6 * whole:
            row["area"] = rest
        else:
            del row["area"]
            lost.append("area")
    return row, lost


def shift(attributes: Mapping[str, Any], left: int, top: int) -> tuple[dict[str, Any], list[str]]:
    """The attributes of a box that is whole in a window with this upper left corner, and those that were left out."""
    row = dict(attributes)
    if "segmentation" in row and not _replace_outline(row, lambda points: points - (left, top)):
        return row, ["segmentation"]
    return row, []


def _replace_outline(row: dict[str, Any], points: Callable[[Points], Points]) -> bool:
    """Moves the polygons of a row; a mask is left out, and the answer is false."""
    polygons = polygons_of(row["segmentation"])
    if polygons is None:
        del row["segmentation"]
        return False
    row["segmentation"] = [points(polygon).ravel().tolist() for polygon in polygons]
    return True


def polygons_of(segmentation: object) -> list[Points] | None:
    """The polygons of a segmentation, or ``None`` where it is a mask or nothing that can be understood."""
    if not isinstance(segmentation, list | tuple):
        return None
    polygons = []
    for polygon in segmentation:
        try:
            numbers = np.array(polygon, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            return None
        if numbers.ndim != 1 or numbers.size % 2 or not np.isfinite(numbers).all():
            return None
        polygons.append(numbers.reshape(-1, 2))
    return polygons


def turn_points(points: Points, orientation: int, stored: tuple[int, int]) -> Points:
    """Points of the stored pixels, in the picture as EXIF orientation turns it; as ``boxwright.images.turn_boxes``."""
    return turn_boxes(np.hstack([points, points]), orientation, stored)[:, :2]


def polygon_area(polygon: Points) -> float:
    """The area of a polygon that does not cross itself, by the shoelace formula, in square pixels."""
    x, y = polygon[:, 0], polygon[:, 1]
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def clip_polygon(polygon: Points, window: tuple[float, float, float, float]) -> Points:
    """What lies in a window, by cutting at one side after the other.

    Where that falls apart, the pieces stay one polygon, joined along the window's border; its area is theirs.

    Source: Ivan Sutherland, Gary Hodgman: "Reentrant Polygon Clipping", Communications of the ACM 17(1), 1974.
    """
    for axis, limit, sign in ((0, window[0], 1), (1, window[1], 1), (0, window[2], -1), (1, window[3], -1)):
        depth = sign * (polygon[:, axis] - limit)
        kept: list[NDArray[np.float64]] = []
        for here, point in enumerate(polygon):
            before = here - 1
            if (depth[here] >= 0) != (depth[before] >= 0):
                crossing = polygon[before] + (point - polygon[before]) * (depth[before] / (depth[before] - depth[here]))
                crossing[axis] = limit
                kept.append(crossing)
            if depth[here] >= 0:
                kept.append(point)
        polygon = np.array(kept).reshape(-1, 2)
    return polygon


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
