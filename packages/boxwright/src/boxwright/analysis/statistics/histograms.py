"""Histograms with fixed bins, which need the same memory for any number of values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_GAP = 3


@dataclass(frozen=True)
class Bin:
    """One bin.

    Attributes:
        low: The lower end, inclusive.
        high: The upper end, exclusive; ``inf`` for the last bin.
        count: The number of values.
        label: The range in words: ``"16–24"``.
    """

    low: float
    high: float
    count: int
    label: str


class Histogram:
    """Counts of values in fixed bins ``[edge, next edge)``; the last bin is open, and the first includes lower values.

    Args:
        edges: The lower ends of the bins, ascending.
        label: Returns the text for a bin from its two ends; the second is ``inf`` for the last bin.
    """

    def __init__(self, edges: Sequence[float], label: Callable[[float, float], str]) -> None:
        self._edges = np.array(edges, dtype=np.float64)
        self._label = label
        self._counts = np.zeros(len(edges), dtype=np.int64)

    def add(self, values: ArrayLike) -> None:
        """Counts values of any shape without NaN."""
        bins = np.searchsorted(self._edges, np.asarray(values, dtype=np.float64).ravel(), side="right") - 1
        self._counts += np.bincount(np.maximum(bins, 0), minlength=len(self._edges))

    @property
    def total(self) -> int:
        """The number of values."""
        return int(self._counts.sum())

    @property
    def bins(self) -> list[Bin]:
        """The bins from the first to the last non-empty one."""
        filled = np.flatnonzero(self._counts)
        if not len(filled):
            return []
        ends = [*self._edges[1:].tolist(), math.inf]
        return [
            Bin(float(self._edges[i]), ends[i], int(self._counts[i]), self._label(float(self._edges[i]), ends[i]))
            for i in range(int(filled[0]), int(filled[-1]) + 1)
        ]

    def to_list(self) -> list[dict[str, Any]]:
        """Returns the bins as plain values for JSON; ``to`` is ``None`` in the open one."""
        return [
            {"from": each.low, "to": each.high if math.isfinite(each.high) else None, "count": each.count}
            for each in self.bins
        ]


class LogGrid:
    """Counts of pairs of positive numbers on a logarithmic grid that is fine enough for quantiles.

    Each octave (a factor of two) has :data:`PARTS` cells, so that a quantile is correct within 3 %.
    """

    PARTS = 12
    LOWEST, HIGHEST = -6, 15
    """The range of the grid as powers of two."""

    def __init__(self) -> None:
        self._size = (self.HIGHEST - self.LOWEST) * self.PARTS
        self._counts = np.zeros((self._size, self._size), dtype=np.int64)

    def add(self, first: NDArray[np.float64], second: NDArray[np.float64]) -> None:
        """Counts pairs of positive numbers, shapes (N,)."""
        places = self._places(first) * self._size + self._places(second)
        self._counts += np.bincount(places, minlength=self._size**2).reshape(self._counts.shape)

    def _places(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        steps = np.floor((np.log2(values) - self.LOWEST) * self.PARTS)
        places: NDArray[np.int64] = np.clip(steps, 0, self._size - 1).astype(np.int64)
        return places

    def cells(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Returns the centers of the non-empty cells and their counts, three arrays of shape (N,)."""
        one, two = np.nonzero(self._counts)
        middles: NDArray[np.float64] = 2.0 ** (self.LOWEST + (np.arange(self._size) + 0.5) / self.PARTS)
        return middles[one], middles[two], np.asarray(self._counts[one, two])

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """Returns the quantiles of the first numbers for shares of 0..1; zeros if there are no numbers."""
        counts = self._counts.sum(axis=1)
        if not counts.sum():
            return [0.0] * len(shares)
        ends = 2.0 ** (self.LOWEST + np.arange(self._size + 1) / self.PARTS)
        reached = np.concatenate([[0], np.cumsum(counts)]) / counts.sum()
        return [float(value) for value in np.interp(shares, reached, ends)]


def sizes_in_pixels() -> Histogram:
    """Returns a histogram of lengths in pixels, two bins per octave; two limits are COCO's 32 and 96."""
    edges = [0.0, 1.0, 2.0, *(start * 2.0**octave for octave in range(12) for start in (3.0, 4.0))]
    return Histogram(edges, lambda low, high: _span(f"{low:g}", f"{high:g}", high))


def relative_sizes() -> Histogram:
    """Returns a histogram of lengths as shares of the image's, 0..1."""
    edges = [0, 0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0]
    return Histogram(edges, lambda low, high: _span(f"{100 * low:g}", f"{100 * high:g}", high) + " %")


def aspect_ratios() -> Histogram:
    """Returns a histogram of width divided by height, symmetric around 1."""
    wide = [5 / 4, 3 / 2, 2.0, 3.0, 4.0, 5.0, 8.0]
    edges = [0.0, *(1 / each for each in reversed(wide)), *wide]

    def label(low: float, high: float) -> str:
        return f"below {_ratio(high)}" if not low else _span(_ratio(low), _ratio(high), high)

    return Histogram(edges, label)


def counts() -> Histogram:
    """Returns a histogram of whole numbers from 0 on, with wider bins for higher numbers."""
    edges = [0, 1, 2, 3, 4, 5, 6, 8, 11, 16, 21, 31, 51, 101, 201, 501, 1001]

    def label(low: float, high: float) -> str:
        return f"{low:g}" if high == low + 1 else _span(f"{low:g}", f"{high - 1:g}", high)

    return Histogram(edges, label)


def _span(low: str, high: str, end: float) -> str:
    return f"{low}–{high}" if math.isfinite(end) else f"{low} or more"


def _ratio(value: float) -> str:
    if math.isinf(value):
        return ""
    fraction = Fraction(value).limit_denominator(10)
    return f"{fraction.numerator}:{fraction.denominator}"


@dataclass(frozen=True)
class HistogramRow:
    """One row of a histogram for readers.

    Attributes:
        label: The range in words; ``"…"`` for a run of empty bins.
        count: The number of values.
        length: The count divided by that of the fullest bin, 0..1.
        share: The count divided by the number of all values, 0..1.
    """

    label: str
    count: int
    length: float
    share: float


def histogram_rows(bins: Sequence[Bin]) -> list[HistogramRow]:
    """Returns the bins as rows; three or more empty ones in a row become one, labeled ``"…"``."""
    longest, total = max((each.count for each in bins), default=0), sum(each.count for each in bins)
    rows: list[HistogramRow] = []
    for filled, run in groupby(bins, key=lambda each: each.count > 0):
        part = list(run)
        if not filled and len(part) >= _GAP:
            rows.append(HistogramRow("…", 0, 0.0, 0.0))
        else:
            rows += [
                HistogramRow(each.label, each.count, each.count / (longest or 1), each.count / (total or 1))
                for each in part
            ]
    return rows
