"""The pixel convention of a dataset, inferred from the coordinates of boxes at the edges of the images.

The box of an object that the edge of the image cuts off ends exactly at that edge, and its coordinate there shows the
convention:

=====================  ==========  ===============  =======================================================
convention             first       last             used by
=====================  ==========  ===============  =======================================================
from 0, end exclusive  0           size             boxwright, COCO, YOLO, CVAT
from 1, end included   1           size             PASCAL VOC (VOC 2007 development kit: the first pixel is (1, 1))
from 0, end included   0           size - 1         scripts that subtract 1 from VOC's coordinates
from 1, end exclusive  1           size + 1         scripts that add 1 to 0-based coordinates
=====================  ==========  ===============  =======================================================

labelImg counts from 0 and writes 1 instead of 0 (``convert_points_to_bnd_box`` in its ``labelFile.py``, for a program
that did not accept zeros), so that its files look like those of PASCAL VOC. The coordinates cannot distinguish the two;
the source that the annotation names may.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boxwright.datasets.dataset import Dataset
from boxwright.plugins.registry import default_registry
from boxwright.storage.uri import DatasetURI

_OPTION = "one_based"
_NEAR = 0.01
"""Distance in pixels from a whole number that is ignored: the error of a relative coordinate with six decimals."""
_FEWEST = 3
"""Fewer coordinates at an edge are chance."""
_CONTRADICTION = 20
"""Fewer than one coordinate in this many is ignored as a mistake."""


class Convention(StrEnum):
    """A pixel convention."""

    ZERO_BASED = "zero_based"
    ONE_BASED = "one_based"
    ZERO_BASED_INCLUSIVE = "zero_based_inclusive"
    ONE_BASED_EXCLUSIVE = "one_based_exclusive"
    UNKNOWN = "unknown"


_BY_BORDERS: dict[tuple[int | None, int | None], Convention] = {
    (0, 0): Convention.ZERO_BASED,
    (1, 0): Convention.ONE_BASED,
    (0, -1): Convention.ZERO_BASED_INCLUSIVE,
    (1, 1): Convention.ONE_BASED_EXCLUSIVE,
}

_MEANING = {
    Convention.ZERO_BASED: "counts from 0 with the last coordinate exclusive, as boxwright does",
    Convention.ONE_BASED: "counts from 1 with the last pixel included, as Pascal VOC does",
    Convention.ZERO_BASED_INCLUSIVE: "counts from 0 with the last pixel included",
    Convention.ONE_BASED_EXCLUSIVE: "counts from 1 with the last coordinate exclusive",
}


@dataclass
class BorderCounts:
    """The numbers of coordinates at, next to and beyond the edges of their images.

    Attributes:
        low: ``xmin`` and ``ymin`` by position: ``"below 0"``, ``"0"``, ``"1"``.
        high: ``xmax`` and ``ymax`` by position: ``"size-1"``, ``"size"``, ``"size+1"``, ``"beyond size"`` (which
            includes ``"size+1"``).
        fractional: The number of coordinates that are not whole numbers.
        total: The number of all coordinates, four per box.
        from_voc: The number of images whose annotation names a PASCAL VOC database as the source.
    """

    low: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("below 0", "0", "1"), 0))
    high: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("size-1", "size", "size+1", "beyond size"), 0))
    fractional: int = 0
    total: int = 0
    from_voc: int = 0

    def add(self, xyxy: NDArray[np.float64], sizes: NDArray[np.float64]) -> None:
        """Counts the coordinates of boxes.

        Args:
            xyxy: Shape (N, 4), in pixels.
            sizes: Shape (N, 2), width and height of each box's image.
        """
        first, last = xyxy[:, :2], xyxy[:, 2:] - sizes
        self.total += xyxy.size
        self.fractional += int(np.count_nonzero(np.abs(xyxy - np.rint(xyxy)) > _NEAR))
        for name, position in (("0", 0), ("1", 1)):
            self.low[name] += _at(first, position)
        self.low["below 0"] += int(np.count_nonzero(first < -_NEAR))
        for name, position in (("size-1", -1), ("size", 0), ("size+1", 1)):
            self.high[name] += _at(last, position)
        self.high["beyond size"] += int(np.count_nonzero(last > _NEAR))

    def note_source(self, database: object) -> None:
        """Counts an image if its annotation names a PASCAL VOC database as the source."""
        if "VOC20" in str(database):
            self.from_voc += 1

    @property
    def convention(self) -> Convention:
        """The convention that explains the counts."""
        return _BY_BORDERS.get((self._first_border, self._last_border), Convention.UNKNOWN)

    @property
    def _first_border(self) -> int | None:
        zero, one = self.low["0"], self.low["1"]
        if zero >= _FEWEST and zero * _CONTRADICTION > one:
            return 0
        return 1 if one >= _FEWEST and zero * _CONTRADICTION <= one else None

    @property
    def _last_border(self) -> int | None:
        before, at, after = (self.high[name] for name in ("size-1", "size", "size+1"))
        if after >= _FEWEST and after > at * _CONTRADICTION:
            return 1
        if at >= _FEWEST and at * _CONTRADICTION > before:
            return 0
        return -1 if before >= _FEWEST and at * _CONTRADICTION <= before else None

    @property
    def evidence(self) -> str:
        """The counts in words."""
        low, high = self.low, self.high
        return (
            f"{_number(low['0'])} at 0, {_number(low['1'])} at 1, {_number(high['size-1'])} at size-1,"
            f" {_number(high['size'])} at size"
        )

    @property
    def conclusion(self) -> str:
        """The convention in words."""
        return _MEANING.get(self.convention) or f"cannot tell: {self._doubt}"

    def advice(self, option: str = "") -> list[str]:
        """Returns what to do, in words; empty if nothing needs to be done.

        Args:
            option: The part of the URI that shifts a 1-based dataset, ``"?one_based=true"``; empty if the format does
                not have this option, or it is set already.
        """
        match self.convention:
            case Convention.ONE_BASED:
                advice = [f"read it with {option}"] if option else []
                if not self.from_voc:
                    advice.append("unless the boxes are from labelImg: it writes 1 for 0, which looks the same")
                return advice
            case Convention.ZERO_BASED_INCLUSIVE:
                return ["each box is one pixel too narrow and too low: add 1 to xmax and ymax"]
            case Convention.ONE_BASED_EXCLUSIVE:
                return ["each box is one pixel too far right and down: subtract 1 from all coordinates"]
        return []

    @property
    def _doubt(self) -> str:
        first, last = self._first_border, self._last_border
        if first is None and last is None:
            return "too few boxes reach the edges of their image"
        if last is None:
            return f"it counts from {first}, and too few boxes reach the right or bottom edge"
        if first is None:
            return "too few boxes reach the left or top edge"
        return "the edges contradict each other"

    def to_dict(self, option: str = "") -> dict[str, Any]:
        """Returns plain values for JSON; ``option`` as in :meth:`advice`."""
        return {
            "convention": self.convention.value,
            "conclusion": self.conclusion,
            "advice": self.advice(option),
            "first_edges": dict(self.low),
            "last_edges": dict(self.high),
            "fractional_edges": self.fractional,
            "edges": self.total,
            "pictures_from_voc": self.from_voc,
        }


def one_based_option(dataset: Dataset) -> str:
    """Returns what to append to a dataset's URI to read it as 1-based: ``"?one_based=true"``.

    Empty if its format does not have this option, or the option is set already.
    """
    uri = DatasetURI.parse(dataset.uri) if dataset.uri else DatasetURI(dataset.info.location)
    plugins = default_registry()
    if uri.format not in plugins.names("format") or _OPTION in uri.options:
        return ""
    known = {option.name for option in plugins.get("format", uri.format).spec.options}
    return f"{'&' if uri.options else '?'}{_OPTION}=true" if _OPTION in known else ""


def _at(distances: NDArray[np.float64], position: int) -> int:
    return int(np.count_nonzero(np.abs(distances - position) <= _NEAR))


def _number(count: int) -> str:
    return f"{count:,}" if count else "none"
