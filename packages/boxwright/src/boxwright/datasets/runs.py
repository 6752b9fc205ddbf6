"""Masks as run lengths, as COCO stores them: down the columns of the image, alternately outside and inside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from boxwright.schemas import Coordinates

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def box_of_runs(counts: Sequence[Any], height: int, width: int) -> Coordinates:
    """Returns the bounding box of a mask, in pixels.

    Args:
        counts: The lengths of the runs; the first is outside.
        height: The image's height in pixels.
        width: The image's width in pixels.

    Raises:
        ValueError: They are not integers, do not match the size, or contain no pixel.
    """
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


def unpacked_runs(text: str) -> list[int]:
    """Returns the run lengths in COCO's packed text.

    Source: ``rleFrString`` of https://github.com/cocodataset/cocoapi (common/maskApi.c): characters from ``0`` on
    contain five bits each, the sixth means that more follow, and from the third number on each is the difference to
    the last but one.

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


def packed_runs(counts: Iterable[int]) -> str:
    """Returns run lengths as COCO's packed text, which :func:`unpacked_runs` reads; see ``rleToString`` there."""
    known = list(counts)
    text = ""
    for place, count in enumerate(known):
        number = count - (known[place - 2] if place > 2 else 0)
        more = True
        while more:
            bits = number & 31
            number >>= 5
            more = number != (-1 if bits & 16 else 0)
            text += chr(48 + (bits | 32 if more else bits))
    return text


def runs_of_pixels(inside: NDArray[np.bool_], left: int, top: int, width: int, height: int) -> tuple[int, ...]:
    """Returns the run lengths of a mask that covers a part of an image.

    Args:
        inside: Shape (rows, columns): whether each pixel of the part belongs to the mask.
        left: The part's first column in the image.
        top: The part's first row in the image.
        width: The image's width in pixels; pixels outside the image are left out.
        height: The image's height in pixels.
    """
    import numpy as np

    columns, rows = np.nonzero(inside.T)
    columns, rows = columns.astype(np.int64) + left, rows.astype(np.int64) + top
    kept = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    places = columns[kept] * height + rows[kept]
    if not places.size:
        return (width * height,)
    breaks = np.flatnonzero(np.diff(places) != 1)
    starts = np.concatenate((places[:1], places[breaks + 1]))
    ends = np.concatenate((places[breaks], places[-1:])) + 1
    edges = np.stack((starts, ends), axis=1).ravel()
    counts = np.diff(edges, prepend=0, append=width * height).tolist()
    return tuple(counts if counts[-1] else counts[:-1])


def pixels_of_runs(counts: Iterable[int], height: int, box: Coordinates) -> NDArray[np.bool_]:
    """Returns the pixels of a mask inside its bounding box.

    Args:
        counts: The lengths of the runs.
        height: The image's height in pixels.
        box: The mask's :func:`box_of_runs`.

    Returns:
        Shape (rows, columns) of the box.

    Raises:
        ValueError: The image has more than :data:`boxwright.images.MAX_PIXELS`.
    """
    import numpy as np

    from boxwright.images.decode import MAX_PIXELS

    left, top, right, bottom = map(int, box)
    if (right - left) * height > MAX_PIXELS:
        raise ValueError(f"the mask covers more than {MAX_PIXELS:,} pixels")
    edges = np.cumsum(np.fromiter(counts, dtype=np.int64))
    # Only the columns of the box: a run that covers whole columns of a large image is not expanded.
    first, last = left * height, right * height
    places = np.clip(edges, first, last) - first
    flips = np.bincount(places[places < last - first], minlength=last - first) % 2
    inside = (np.cumsum(flips) % 2).astype(bool).reshape(right - left, height)
    return inside[:, top:bottom].T
