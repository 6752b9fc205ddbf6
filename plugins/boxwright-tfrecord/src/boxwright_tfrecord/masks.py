"""Masks of objects as COCO's run-length encoding.

``create_coco_tf_record.py`` and ``create_pet_tf_record.py`` write a mask of the whole image for each object: PNG images
(0 outside the object), or numbers, row by row. COCO counts pixels column by column, beginning with those outside: https://github.com/cocodataset/cocoapi/blob/master/common/maskApi.h.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boxwright.images import MAX_PIXELS
from boxwright_tfrecord.example import Values


def read_masks(values: Values, count: int, size: tuple[int, int]) -> list[dict[str, Any]]:
    """Returns the ``segmentation`` of each box: ``{"counts": [...], "size": [height, width]}``.

    Args:
        values: The values of the feature ``image/object/mask``.
        count: The number of boxes.
        size: The image's width and height in pixels.

    Raises:
        ValueError: The values are not masks of this image.
    """
    width, height = size
    if values and isinstance(values[0], bytes):
        masks = [_decoded(value, size) for value in values]
    else:
        numbers = np.asarray(values, dtype=np.float32)
        if numbers.size != count * height * width:
            raise ValueError(f"image/object/mask has {numbers.size} numbers for {count} masks of {width}x{height}")
        masks = list(numbers.reshape(count, height, width) > 0)
    if len(masks) != count:
        raise ValueError(f"image/object/mask has {len(masks)} masks for {count} boxes")
    return [{"counts": _runs(mask), "size": [height, width]} for mask in masks]


def _decoded(data: bytes, size: tuple[int, int]) -> NDArray[np.bool_]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            if image.size != size or image.width * image.height > MAX_PIXELS:
                raise ValueError(f"a mask is {image.width}x{image.height}, and the image {size[0]}x{size[1]}")
            pixels: NDArray[Any] = np.asarray(image)
    except ValueError:
        raise
    except Exception as error:  # Pillow raises many kinds of errors for damaged images
        raise ValueError(f"a mask is not a PNG image: {error}") from None
    return np.asarray(pixels != 0 if pixels.ndim == 2 else (pixels != 0).any(axis=-1))


def _runs(mask: NDArray[np.bool_]) -> Sequence[int]:
    """Returns the lengths of the runs of pixels, outside and inside in turn, column by column."""
    flat = mask.flatten(order="F")
    ends = np.flatnonzero(np.diff(flat.astype(np.int8))) + 1
    counts: list[int] = np.diff(np.concatenate(([0], ends, [flat.size]))).tolist()
    return [0, *counts] if flat[0] else counts
