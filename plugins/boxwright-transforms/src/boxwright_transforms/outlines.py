"""Outlines (``segmentation``) and ``area`` of boxes, attributes in pixels that change with their boxes.

Both are those of COCO (https://cocodataset.org/#format-data): a segmentation is a list of polygons
``[x1, y1, x2, y2, ...]``, or a run-length encoded mask of the whole image. Polygons are transformed and clipped
exactly. Masks would need to be drawn again, so they are dropped, which the steps report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boxwright import Boxes
from boxwright.images import rotate_boxes

Points = NDArray[np.float64]
"""Shape (N, 2), x and y in pixels."""


def transform_boxes(
    boxes: Boxes, xyxy: NDArray[Any], points: Callable[[Points], Points], area_factor: float
) -> tuple[Boxes, int]:
    """Returns boxes with other coordinates, their outlines and areas transformed with them.

    Args:
        boxes: The boxes before.
        xyxy: Their new coordinates, shape (N, 4), pixels.
        points: Transforms points in the same way.
        area_factor: The factor for areas.

    Returns:
        The boxes, and the number of masks that were dropped.
    """
    if not any("segmentation" in each or "area" in each for each in boxes.attributes):
        return boxes.with_xyxy(xyxy), 0
    rows, masks = [], 0
    for attributes in boxes.attributes:
        row = dict(attributes)
        if "segmentation" in row:
            masks += not _transform_outline(row, points)
        if _is_number(row.get("area")):
            row["area"] *= area_factor
        rows.append(row)
    return Boxes.from_array(boxes.labels, xyxy, rows), masks


def clip_attributes(
    attributes: Mapping[str, Any], window: tuple[int, int, int, int], box_area: float, clipped_area: float
) -> tuple[dict[str, Any], list[str]]:
    """Returns the attributes of a box that is partly inside a window.

    Args:
        attributes: Attributes of the whole box.
        window: ``(left, top, right, bottom)`` in pixels of the image; the new outlines are relative to its top left.
        box_area: Area of the whole box, in square pixels.
        clipped_area: Area of the part inside the window.

    Returns:
        The attributes, and the names of those that were dropped. ``area`` becomes that of the clipped outline, or of
        the part if it was that of the box; otherwise it is dropped.
    """
    row, dropped = dict(attributes), []
    polygons = None
    if "segmentation" in row:
        polygons = parse_polygons(row["segmentation"])
        if polygons is None:
            del row["segmentation"]
            dropped.append("segmentation")
        else:
            polygons = [part for polygon in polygons if len(part := clip_polygon(polygon, window)) >= 3]
            row["segmentation"] = [(part - window[:2]).ravel().tolist() for part in polygons]
    if "area" in row:
        if polygons is not None:
            row["area"] = sum(map(polygon_area, polygons))
        elif _is_number(row["area"]) and abs(row["area"] - box_area) <= 1e-6 * box_area:
            row["area"] = clipped_area
        else:
            del row["area"]
            dropped.append("area")
    return row, dropped


def shift_attributes(attributes: Mapping[str, Any], left: int, top: int) -> tuple[dict[str, Any], list[str]]:
    """Returns the attributes of a box completely inside a window with this top left, and those that were dropped."""
    row = dict(attributes)
    if "segmentation" in row and not _transform_outline(row, lambda points: points - (left, top)):
        return row, ["segmentation"]
    return row, []


def _transform_outline(row: dict[str, Any], points: Callable[[Points], Points]) -> bool:
    """Transforms the polygons of a row; drops a mask and returns false."""
    polygons = parse_polygons(row["segmentation"])
    if polygons is None:
        del row["segmentation"]
        return False
    row["segmentation"] = [points(polygon).ravel().tolist() for polygon in polygons]
    return True


def parse_polygons(segmentation: object) -> list[Points] | None:
    """Returns the polygons of a segmentation, or ``None`` if it is a mask or invalid."""
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


def rotate_points(points: Points, orientation: int, stored: tuple[int, int]) -> Points:
    """Returns points of the stored pixels in the rotated image, as :func:`boxwright.images.rotate_boxes` does boxes."""
    return rotate_boxes(np.hstack([points, points]), orientation, stored)[:, :2]


def polygon_area(polygon: Points) -> float:
    """Returns the area of a polygon that does not intersect itself, by the shoelace formula, in square pixels."""
    x, y = polygon[:, 0], polygon[:, 1]
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def clip_polygon(polygon: Points, window: tuple[float, float, float, float]) -> Points:
    """Returns the part of a polygon inside a window, clipped at one side after the other.

    Separate pieces remain one polygon, joined along the edge of the window; its area is the sum of theirs.

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
