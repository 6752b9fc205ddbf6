"""Boxes as numpy arrays: conversion between the eight formats, IoU and clipping.

The formats are those of KerasCV (https://keras.io/api/keras_cv/bounding_box/formats/), and ``rel_center_xywh`` of YOLO,
which Keras 3 has (``keras.utils.bounding_boxes``). Coordinates are continuous, so width is ``xmax - xmin`` with
nothing added.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from boxwright.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class BoxFormat(StrEnum):
    """How four numbers describe a box: the names of KerasCV, and ``rel_center_xywh`` of Keras 3.

    ``x`` and ``y`` are the left and top edge (or the centre in ``center_*``), ``w`` and ``h`` width and height; the
    ``rel_`` formats are divided by the width and height of the image.
    """

    XYXY = "xyxy"
    YXYX = "yxyx"
    XYWH = "xywh"
    CENTER_XYWH = "center_xywh"
    REL_XYXY = "rel_xyxy"
    REL_YXYX = "rel_yxyx"
    REL_XYWH = "rel_xywh"
    REL_CENTER_XYWH = "rel_center_xywh"

    @property
    def relative(self) -> bool:
        """Whether the numbers are divided by the image size."""
        return self.value.startswith("rel_")


Array = NDArray[Any]


def convert_format(
    boxes: ArrayLike,
    source: BoxFormat | str,
    target: BoxFormat | str,
    *,
    image_size: tuple[float, float] | ArrayLike | None = None,
) -> Array:
    """Converts boxes from one format to another.

    Args:
        boxes: Shape (..., 4). Integers become float64; floating types are kept.
        source: The format that ``boxes`` are in.
        target: The format wanted.
        image_size: ``(width, height)`` in pixels, or an array of shape (..., 2) that broadcasts against ``boxes``
            without its last axis; needed exactly when one format is relative and the other is not.

    Returns:
        Shape (..., 4), a new array.

    Raises:
        UsageError: An unknown format, a wrong shape, or ``image_size`` missing or not positive.
    """
    origin, wanted = _format(source), _format(target)
    try:
        array = np.array(boxes)
        if not np.issubdtype(array.dtype, np.floating):
            array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(f"boxes are not an array of numbers: {error}", "pass shape (..., 4)") from None
    if array.shape[-1:] != (4,):
        raise UsageError(f"boxes have shape {array.shape}", "the last axis must hold the four numbers of a box")
    if origin is wanted:
        return array
    corners = _to_corners(array, origin)
    if origin.relative != wanted.relative:
        if image_size is None:
            raise UsageError(f"{origin.value} to {wanted.value} needs image_size", "give image_size=(width, height)")
        size = np.asarray(image_size, dtype=array.dtype)
        if size.shape[-1:] != (2,) or not np.all((size > 0) & np.isfinite(size)):
            raise UsageError(f"image_size is {image_size!r}", "give (width, height) in pixels, both greater than 0")
        scale = np.concatenate([size, size], axis=-1)
        corners = corners * scale if origin.relative else corners / scale
    return _from_corners(corners, wanted)


def clip(xyxy: ArrayLike, width: float, height: float) -> Array:
    """Cuts ``xyxy`` boxes of shape (..., 4) at the borders of an image.

    A box that is entirely outside the image ends up with zero area.


    Integers become float64; floating types are kept.
    """
    array = _floating(xyxy)
    clipped: Array = np.clip(array, 0, np.array([width, height, width, height], dtype=array.dtype))
    return clipped


def area(xyxy: ArrayLike) -> Array:
    """Area of ``xyxy`` boxes of shape (..., 4) in square pixels, shape (...); 0 where the edges are inverted."""
    array = _floating(xyxy)
    sides: Array = np.maximum(array[..., 2:] - array[..., :2], 0)
    areas: Array = sides.prod(axis=-1)
    return areas


def iou(first: ArrayLike, second: ArrayLike) -> Array:
    """Intersection over union of every pair of boxes.

    Args:
        first: ``xyxy``, shape (N, 4).
        second: ``xyxy``, shape (M, 4).

    Returns:
        Shape (N, M), 0..1; 0 where both boxes have no area.
    """
    one, two = np.asarray(first, dtype=np.float64).reshape(-1, 4), np.asarray(second, dtype=np.float64).reshape(-1, 4)
    shared = _shared(one, two)
    union = area(one)[:, None] + area(two)[None, :] - shared
    overlap: Array = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlap


def share_inside(first: ArrayLike, second: ArrayLike) -> Array:
    """Returns the share of each box that is inside each other box.

    Args:
        first: ``xyxy``, shape (N, 4).
        second: ``xyxy``, shape (M, 4).

    Returns:
        Shape (N, M), 0..1; 0 for a box of ``first`` without area.
    """
    one = np.asarray(first, dtype=np.float64).reshape(-1, 4)
    shared, whole = _shared(one, second), area(one)[:, None]
    share: Array = np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
    return share


def _shared(first: ArrayLike, second: ArrayLike) -> Array:
    """Returns the area that is in both boxes of every pair, shape (N, M)."""
    one, two = np.asarray(first, dtype=np.float64).reshape(-1, 4), np.asarray(second, dtype=np.float64).reshape(-1, 4)
    upper_left = np.maximum(one[:, None, :2], two[None, :, :2])
    lower_right = np.minimum(one[:, None, 2:], two[None, :, 2:])
    sides = np.maximum(lower_right - upper_left, 0)
    shared: Array = sides[..., 0] * sides[..., 1]
    return shared


def scale(xyxy: ArrayLike, factor_x: float, factor_y: float) -> Array:
    """``xyxy`` boxes of shape (..., 4) in an image that was resized by these factors."""
    scaled: Array = np.asarray(xyxy, dtype=np.float64) * np.array([factor_x, factor_y, factor_x, factor_y])
    return scaled


def _floating(values: ArrayLike) -> Array:
    # Unsigned edges would wrap round where they are subtracted, small integers where they are multiplied.
    array = np.asarray(values)
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float64)


def _format(name: BoxFormat | str) -> BoxFormat:
    try:
        return BoxFormat(name)
    except ValueError:
        raise UsageError(
            f"unknown bounding_box_format {name!r}", f"give one of: {', '.join(f.value for f in BoxFormat)}"
        ) from None


def _to_corners(boxes: Array, source: BoxFormat) -> Array:
    one, two, three, four = np.moveaxis(boxes, -1, 0)
    match source.value.removeprefix("rel_"):
        case "yxyx":
            corners = (two, one, four, three)
        case "xywh":
            corners = (one, two, one + three, two + four)
        case "center_xywh":
            corners = (one - three / 2, two - four / 2, one + three / 2, two + four / 2)
        case _:
            corners = (one, two, three, four)
    return np.stack(corners, axis=-1)


def _from_corners(corners: Array, target: BoxFormat) -> Array:
    xmin, ymin, xmax, ymax = np.moveaxis(corners, -1, 0)
    match target.value.removeprefix("rel_"):
        case "yxyx":
            boxes = (ymin, xmin, ymax, xmax)
        case "xywh":
            boxes = (xmin, ymin, xmax - xmin, ymax - ymin)
        case "center_xywh":
            boxes = ((xmin + xmax) / 2, (ymin + ymax) / 2, xmax - xmin, ymax - ymin)
        case _:
            boxes = (xmin, ymin, xmax, ymax)
    return np.stack(boxes, axis=-1)
