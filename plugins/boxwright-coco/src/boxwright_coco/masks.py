"""The bounding box of a segmentation, for annotations without a box.

A segmentation is a list of polygons ``[x1, y1, x2, y2, ...]``, or run lengths over the columns of the image: ``size``
``[height, width]`` and ``counts``, the lengths of runs of pixels that are alternately outside and inside, as a list or
packed into text.
"""

from __future__ import annotations

from typing import Any

from boxwright import Coordinates
from boxwright.datasets import box_of_points, box_of_runs, unpacked_runs


def outline_box(segmentation: Any) -> Coordinates:
    """Returns the bounding box of polygons or run lengths, in pixels.

    Raises:
        ValueError: The segmentation is neither, or empty.
        KeyError, TypeError, OverflowError: The segmentation is neither.
    """
    if isinstance(segmentation, dict):
        height, width = segmentation["size"]
        counts = segmentation["counts"]
        return box_of_runs(unpacked_runs(counts) if isinstance(counts, str) else counts, height, width)
    polygons = [list(map(float, polygon)) for polygon in segmentation]
    if any(len(polygon) % 2 for polygon in polygons):
        raise ValueError("a polygon must alternate x and y")
    return box_of_points(point for polygon in polygons for point in zip(polygon[::2], polygon[1::2], strict=True))
