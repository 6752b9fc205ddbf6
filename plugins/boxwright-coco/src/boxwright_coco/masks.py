"""The bounding box of a segmentation, for annotations without a box.

A segmentation is a list of polygons ``[x1, y1, x2, y2, ...]``, or run lengths over the columns of the image: ``size``
``[height, width]`` and ``counts``, the lengths of runs of pixels that are alternately outside and inside, as a list or
packed into text. Source of the packing: ``rleFrString`` of https://github.com/cocodataset/cocoapi (common/maskApi.c):
characters from ``0`` on contain five bits each, the sixth means that more follow, and from the third number on each is
the difference to the last but one.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

from boxwright import Coordinates


def outline_box(segmentation: Any) -> Coordinates:
    """Returns the bounding box of polygons or run lengths, in pixels.

    Raises:
        ValueError: The segmentation is neither, or empty.
        KeyError, TypeError, OverflowError: The segmentation is neither.
    """
    if isinstance(segmentation, dict):
        height, width = segmentation["size"]
        counts = segmentation["counts"]
        return _box_of_runs(unpacked(counts) if isinstance(counts, str) else counts, height, width)
    numbers = [list(map(float, polygon)) for polygon in segmentation]
    across = list(chain.from_iterable(polygon[0::2] for polygon in numbers))
    down = list(chain.from_iterable(polygon[1::2] for polygon in numbers))
    if not down or len(across) != len(down):
        raise ValueError("a polygon must alternate x and y")
    total = sum(map(abs, across)) + sum(map(abs, down))
    if total - total != 0:
        raise ValueError("a polygon is not finite")
    return (min(across), min(down), max(across), max(down))


def unpacked(text: str) -> list[int]:
    """Returns the run lengths in a text.

    Raises:
        ValueError: The text is invalid.
    """
    counts: list[int] = []
    number = shift = 0
    for code in text.encode("ascii"):
        if not 48 <= code < 112:
            raise ValueError(f"its counts contain {chr(code)!r}")
        bits = code - 48
        number |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                number -= 1 << shift
            counts.append(number + (counts[-2] if len(counts) > 2 else 0))
            number = shift = 0
    return counts


def _box_of_runs(counts: list[int], height: int, width: int) -> Coordinates:
    for number in (height, width, *counts):
        if type(number) is not int or number < 0:
            raise ValueError("its run lengths are not integers")
    if not height or sum(counts) > height * width:
        raise ValueError("its run lengths do not match its size")
    lefts, tops, rights, bottoms = [], [], [], []
    start = 0
    for position, count in enumerate(counts):
        end = start + count
        if position % 2 and count:
            (left, top), (right, bottom) = divmod(start, height), divmod(end - 1, height)
            if left != right:  # it continues in the next column
                top, bottom = 0, height - 1
            lefts.append(left)
            tops.append(top)
            rights.append(right)
            bottoms.append(bottom)
        start = end
    if not lefts:
        raise ValueError("it contains no pixel")
    return (float(min(lefts)), float(min(tops)), float(max(rights) + 1), float(max(bottoms) + 1))
