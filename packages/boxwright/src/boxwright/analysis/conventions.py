"""Which pixel convention a dataset follows, judged by where its boxes end at the pictures' borders.

An object that is cut off by the border gets an edge exactly there, whatever else an annotator does; and where the
border is tells the convention:

=====================  ==========  ===============  =======================================================
convention             first edge  last edge        used by
=====================  ==========  ===============  =======================================================
from 0, end exclusive  0           size             boxwright, COCO, YOLO, CVAT
from 1, end included   1           size             PASCAL VOC (VOC 2007 development kit: the first pixel is (1, 1))
from 0, end included   0           size less 1      scripts that take VOC's edges down by one
from 1, end exclusive  1           size and 1       scripts that take 0-based edges up by one
=====================  ==========  ===============  =======================================================

labelImg counts from 0 and writes 1 for an edge at 0 (``convert_points_to_bnd_box`` in its ``labelFile.py``, for a
program that could not take zeros), so that its files leave the trace of PASCAL VOC. Nothing in the edges tells the two
apart; what the annotation says of its source may.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from boxwright.schemas import Sample
from boxwright.storage.uri import DatasetURI

if TYPE_CHECKING:
    from boxwright.datasets.dataset import Dataset

_OPTION = "one_based"
_NEAR = 0.01
"""Pixels within which an edge counts as at a whole number: what six decimals of a relative edge leave of it."""
_FEWEST = 3
"""Fewer edges at a border are chance."""
_CONTRADICTION = 20
"""A border that is not the true one gets less than one edge in so many; a single slip must not decide."""


class Convention(StrEnum):
    """How pixels are counted."""

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
    Convention.ZERO_BASED: "counts from 0 with the last edge exclusive, as boxwright does",
    Convention.ONE_BASED: "counts from 1 with the last pixel included, as Pascal VOC does",
    Convention.ZERO_BASED_INCLUSIVE: "counts from 0 with the last pixel included",
    Convention.ONE_BASED_EXCLUSIVE: "counts from 1 with the last edge exclusive",
}


@dataclass
class BorderCounts:
    """How many edges lie at, next to and beyond the borders of their pictures.

    Attributes:
        low: ``xmin`` and ``ymin`` by where they are: ``"below 0"``, ``"0"``, ``"1"``.
        high: ``xmax`` and ``ymax`` by where they are: ``"size-1"``, ``"size"``, ``"size+1"``,
            ``"beyond size"`` (which holds the former).
        fractional: Edges that are no whole numbers.
        edges: All edges, four a box.
        from_voc: Pictures whose annotation says that it comes from a PASCAL VOC database.
    """

    low: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("below 0", "0", "1"), 0))
    high: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("size-1", "size", "size+1", "beyond size"), 0))
    fractional: int = 0
    edges: int = 0
    from_voc: int = 0

    def add(self, xyxy: NDArray[np.float64], sizes: NDArray[np.float64]) -> None:
        """Counts the edges of boxes.

        Args:
            xyxy: Shape (N, 4), pixels.
            sizes: Shape (N, 2), width and height of each box's picture.
        """
        first, last = xyxy[:, :2], xyxy[:, 2:] - sizes
        self.edges += xyxy.size
        self.fractional += int(np.count_nonzero(np.abs(xyxy - np.rint(xyxy)) > _NEAR))
        for name, place in (("0", 0), ("1", 1)):
            self.low[name] += _at(first, place)
        self.low["below 0"] += int(np.count_nonzero(first < -_NEAR))
        for name, place in (("size-1", -1), ("size", 0), ("size+1", 1)):
            self.high[name] += _at(last, place)
        self.high["beyond size"] += int(np.count_nonzero(last > _NEAR))

    def note_source(self, sample: Sample) -> None:
        """Looks at what a picture's annotation says of its source, as PASCAL VOC's do."""
        if "VOC20" in str(sample.attributes.get("database", "")):
            self.from_voc += 1

    @property
    def convention(self) -> Convention:
        """The convention that the counts speak for."""
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
        """What the counts say, in words."""
        return _MEANING.get(self.convention) or f"cannot tell: {self._doubt}"

    def advice(self, option: str = "") -> list[str]:
        """What to do about it, in words; empty where there is nothing to do.

        Args:
            option: What to add to the URI so that a 1-based dataset is shifted, ``"?one_based=true"``; empty where
                the format has no such option, or has it set.
        """
        match self.convention:
            case Convention.ONE_BASED:
                advice = [f"read it with {option}"] if option else []
                if not self.from_voc:
                    advice.append("unless labelImg drew the boxes: it writes 1 for 0, which looks the same")
                return advice
            case Convention.ZERO_BASED_INCLUSIVE:
                return ["each box is a pixel too narrow and too short: 1 is missing from its xmax and ymax"]
            case Convention.ONE_BASED_EXCLUSIVE:
                return ["each box lies a pixel too far right and down: 1 is to be taken from all of its edges"]
        return []

    @property
    def _doubt(self) -> str:
        first, last = self._first_border, self._last_border
        if first is None and last is None:
            return "too few boxes reach the border of their picture"
        if last is None:
            return f"it counts from {first}, and too few boxes reach the right or lower border"
        if first is None:
            return "too few boxes reach the left or upper border"
        return "the borders contradict each other"

    def to_dict(self, option: str = "") -> dict[str, Any]:
        """Plain values for JSON; ``option`` is that of :meth:`advice`."""
        return {
            "convention": self.convention.value,
            "conclusion": self.conclusion,
            "advice": self.advice(option),
            "first_edges": dict(self.low),
            "last_edges": dict(self.high),
            "fractional_edges": self.fractional,
            "edges": self.edges,
            "pictures_from_voc": self.from_voc,
        }


def one_based_option(dataset: Dataset) -> str:
    """What to add to a dataset's URI so that it is read as 1-based: ``"?one_based=true"``.

    Empty where its format has no such option, or where the option is given already.
    """
    from boxwright.plugins.registry import default_registry

    uri = DatasetURI.parse(dataset.uri) if dataset.uri else DatasetURI(dataset.info.location)
    plugins = default_registry()
    if uri.format not in plugins.names("format") or _OPTION in uri.options:
        return ""
    known = {option.name for option in plugins.get("format", uri.format).spec.options}
    return f"{'&' if uri.options else '?'}{_OPTION}=true" if _OPTION in known else ""


def _at(distances: NDArray[np.float64], place: int) -> int:
    return int(np.count_nonzero(np.abs(distances - place) <= _NEAR))


def _number(count: int) -> str:
    return f"{count:,}" if count else "none"
