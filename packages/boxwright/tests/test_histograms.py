"""Histograms with fixed bins: counts, labels and rows."""

from __future__ import annotations

import numpy as np
import pytest

from boxwright.analysis.statistics.histograms import (
    Histogram,
    LogGrid,
    aspect_ratios,
    counts,
    histogram_rows,
    relative_sizes,
    sizes_in_pixels,
)


def labels(histogram: Histogram) -> dict[str, int]:
    return {each.label: each.count for each in histogram.bins if each.count}


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (0, "0–1"),
        (1, "1–2"),
        (2.999, "2–3"),
        (16, "16–24"),
        (31.999, "24–32"),
        (32, "32–48"),  # where COCO's medium begins
        (96, "96–128"),  # and its large
        (8192, "8192 or more"),
        (1e9, "8192 or more"),
    ],
)
def test_sizes_in_pixels(value: float, label: str) -> None:
    histogram = sizes_in_pixels()
    histogram.add([value])
    assert labels(histogram) == {label: 1}


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (1.0, "4:5–5:4"),
        (0.8, "4:5–5:4"),
        (1.25, "5:4–3:2"),
        (2.0, "2:1–3:1"),
        (0.5, "1:2–2:3"),
        (1 / 3, "1:3–1:2"),
        (0.01, "below 1:8"),
        (100.0, "8:1 or more"),
    ],
)
def test_aspect_ratios(value: float, label: str) -> None:
    histogram = aspect_ratios()
    histogram.add([value])
    assert labels(histogram) == {label: 1}


def test_counts_are_exact_where_they_are_small() -> None:
    histogram = counts()
    histogram.add([0, 0, 1, 5, 6, 7, 8, 100, 1000, 1001])
    assert labels(histogram) == {
        "0": 2,
        "1": 1,
        "5": 1,
        "6–7": 2,
        "8–10": 1,
        "51–100": 1,
        "501–1000": 1,
        "1001 or more": 1,
    }


def test_shares_of_the_image() -> None:
    histogram = relative_sizes()
    histogram.add([0.1, 0.1499, 1.0, 1.3])
    assert labels(histogram) == {"10–15 %": 2, "100 or more %": 2}


def test_whatever_the_batches_nothing_is_lost() -> None:
    values = np.random.default_rng(1).lognormal(3, 2, 1000)
    whole, parts = sizes_in_pixels(), sizes_in_pixels()
    whole.add(values)
    for part in np.array_split(values, 7):
        parts.add(part)
    parts.add([])
    assert whole.bins == parts.bins
    assert whole.total == 1000
    expected, _ = np.histogram(values, bins=[*(each.low for each in whole.bins), np.inf])
    assert [each.count for each in whole.bins] == expected.tolist()


def test_the_bins_begin_and_end_with_what_was_counted() -> None:
    histogram = counts()
    assert histogram.bins == []
    histogram.add([3, 9])
    assert [each.label for each in histogram.bins] == ["3", "4", "5", "6–7", "8–10"]
    assert histogram.to_list()[0] == {"from": 3.0, "to": 4.0, "count": 1}


def test_the_open_bin_has_no_end_in_json() -> None:
    histogram = counts()
    histogram.add([5000])
    assert histogram.to_list() == [{"from": 1001.0, "to": None, "count": 1}]


def test_three_empty_bins_in_a_row_are_one_line() -> None:
    histogram = counts()
    histogram.add([0] * 6 + [4] * 3 + [6])
    found = [(line.label, line.count, line.length, line.share) for line in histogram_rows(histogram.bins)]
    assert found == [
        ("0", 6, 1.0, 0.6),
        ("…", 0, 0.0, 0.0),
        ("4", 3, 0.5, 0.3),
        ("5", 0, 0.0, 0.0),
        ("6–7", 1, pytest.approx(1 / 6), 0.1),
    ]


def test_quantiles_are_those_of_numpy_within_three_percent() -> None:
    values = np.random.default_rng(2).lognormal(4, 1, 20_000)
    grid = LogGrid()
    for part in np.array_split(values, 3):
        grid.add(part, np.ones_like(part))
    shares = (0.05, 0.25, 0.5, 0.75, 0.95)
    assert grid.quantiles(shares) == pytest.approx(np.quantile(values, shares).tolist(), rel=0.03)
    assert LogGrid().quantiles(shares) == [0.0] * 5


def test_cells_are_near_what_was_counted() -> None:
    grid = LogGrid()
    grid.add(np.array([10.0, 10.0, 300.0]), np.array([1.0, 1.0, 0.2]))
    first, second, number = grid.cells()
    assert number.tolist() == [2, 1]
    assert first.tolist() == pytest.approx([10, 300], rel=0.03)
    assert second.tolist() == pytest.approx([1, 0.2], rel=0.03)
    grid.add(np.array([1e-9, 1e9]), np.array([1e-9, 1e9]))  # beyond the grid they stay at its edge
    assert grid.cells()[2].sum() == 5
