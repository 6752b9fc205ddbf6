"""Statistics: histograms of a dataset's boxes, from one pass over it, with little memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from boxwright.analysis.conventions import BorderCounts
from boxwright.analysis.statistics import histograms
from boxwright.datasets.columns import Columns, ColumnsBuilder, columns_of
from boxwright.schemas import Sample

GRID: Final = 16
"""The number of cells of the map of positions in each direction."""
_SMALL, _LARGE = 32.0**2, 96.0**2

_OCTAVES, _SCALES = 5, 3
USUAL_ANCHORS: Final = 32
"""The smallest anchor of RetinaNet: 32 to 512 pixels in five octaves (Lin et al., "Focal Loss for Dense Object
Detection", 2017, section 4)."""
_RATIOS = (0.5, 1.0, 2.0)
_SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)


class Statistics:
    """Histograms of a dataset.

    Attributes:
        sizes: Square roots of the boxes' areas, in pixels.
        relative_sizes: The same divided by the square root of the image's area.
        ratios: Width divided by height of the boxes with an area.
        boxes_per_image: The number of boxes of each image.
        borders: The numbers of coordinates at the edges of the images.
        by_coco: The number of boxes in COCO's size classes, small (below 32x32 pixels), medium and large (from 96x96
            on), by the area of the box (COCO uses the area of the outline).
        positions: Shape (16, 16), rows from the top: the number of boxes with their center in each part of the image.
    """

    def __init__(self) -> None:
        self._builder = ColumnsBuilder()
        self.sizes = histograms.sizes_in_pixels()
        self.relative_sizes = histograms.relative_sizes()
        self.ratios = histograms.aspect_ratios()
        self.boxes_per_image = histograms.counts()
        self.borders = BorderCounts()
        self.by_coco = {"small": 0, "medium": 0, "large": 0}
        self.positions: NDArray[np.int64] = np.zeros((GRID, GRID), dtype=np.int64)
        self._shapes = histograms.LogGrid()

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> Statistics:
        """Reads all samples."""
        statistics = cls()
        for columns in columns_of(samples):
            statistics.add(columns)
        return statistics

    def watch(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields the samples and counts them; the counts are complete at the end."""
        for sample in samples:
            self.see(sample)
            yield sample
        self.finish()

    def see(self, sample: Sample) -> None:
        """Counts an image; the counts are complete after :meth:`finish`."""
        self._builder.add(sample)
        if self._builder.full:
            self.finish()

    def finish(self) -> None:
        """Completes the counts of the images that were seen."""
        self.add(self._builder.take())

    def add(self, columns: Columns) -> None:
        """Counts some images."""
        self.boxes_per_image.add(np.array(columns.counts, np.int64))
        for database in columns.databases:
            self.borders.note_source(database)
        if len(columns.xyxy):
            self._count_boxes(columns.xyxy, columns.image_sizes())

    def _count_boxes(self, xyxy: NDArray[np.float64], image_sizes: NDArray[np.float64]) -> None:
        sides = xyxy[:, 2:] - xyxy[:, :2]
        areas = sides.prod(axis=1)
        lengths = np.sqrt(areas)
        self.sizes.add(lengths)
        self.relative_sizes.add(lengths / np.sqrt(image_sizes.prod(axis=1)))
        self.borders.add(xyxy, image_sizes)
        small, large = int(np.count_nonzero(areas < _SMALL)), int(np.count_nonzero(areas >= _LARGE))
        for name, number in (("small", small), ("medium", len(areas) - small - large), ("large", large)):
            self.by_coco[name] += number
        centers = (xyxy[:, :2] + xyxy[:, 2:]) / 2 / image_sizes
        column, row = np.clip(np.floor(centers * GRID), 0, GRID - 1).astype(np.int64).T
        self.positions += np.bincount(row * GRID + column, minlength=GRID**2).reshape(GRID, GRID)
        solid = areas > 0
        ratios = sides[solid, 0] / sides[solid, 1]
        self.ratios.add(ratios)
        self._shapes.add(lengths[solid], ratios)

    @property
    def typical_sizes(self) -> dict[str, float]:
        """The 5, 25, 50, 75 and 95 % quantiles of the square roots of the boxes' areas, in pixels, within 3 %."""
        return {f"{share:.0%}": value for share, value in zip(_SHARES, self._shapes.quantiles(_SHARES), strict=True)}

    def fitted_by(self, smallest: float, ratios: Sequence[float] = _RATIOS) -> float:
        """Returns the share of boxes, 0..1, that an anchor with the same center overlaps with an IoU of at least 0.5.

        Anchors have five octaves of sizes (square roots of areas), three sizes per octave, as those of RetinaNet.

        Args:
            smallest: The smallest anchor's size, in pixels.
            ratios: Width divided by height of the anchors.
        """
        lengths, shapes, counts = self._shapes.cells()
        if not len(counts):
            return 0.0
        sizes = smallest * 2.0 ** (np.arange(_OCTAVES * _SCALES) / _SCALES)
        size, ratio = (each.ravel() for each in np.meshgrid(sizes, np.array(ratios)))
        root, anchor_root = np.sqrt(shapes), np.sqrt(ratio)
        widths = np.minimum.outer(lengths * root, size * anchor_root)
        heights = np.minimum.outer(lengths / root, size / anchor_root)
        shared = widths * heights
        overlap = shared / (np.add.outer(lengths**2, size**2) - shared)
        return float(counts[overlap.max(axis=1) >= 0.5].sum() / counts.sum())

    @property
    def best_anchors(self) -> tuple[int, float]:
        """The smallest anchor size, 4 to 64 pixels, with which anchors fit most boxes, and the share of those."""
        fitted = {smallest: self.fitted_by(smallest) for smallest in (USUAL_ANCHORS, 16, 64, 8, 4)}
        best = max(fitted, key=lambda smallest: round(fitted[smallest], 3))  # the usual one if several are equal
        return best, fitted[best]

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        best, share = self.best_anchors
        return {
            "box_sizes": self.sizes.to_list(),
            "relative_box_sizes": self.relative_sizes.to_list(),
            "aspect_ratios": self.ratios.to_list(),
            "boxes_per_picture": self.boxes_per_image.to_list(),
            "coco_sizes": dict(self.by_coco),
            "typical_sizes": {name: round(value, 2) for name, value in self.typical_sizes.items()},
            "centres": self.positions.tolist(),
            "anchors": {
                "usual": {"smallest": USUAL_ANCHORS, "fitted": round(self.fitted_by(USUAL_ANCHORS), 4)},
                "best": {"smallest": best, "fitted": round(share, 4)},
            },
        }
