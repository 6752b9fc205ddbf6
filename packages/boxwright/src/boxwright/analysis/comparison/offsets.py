"""Whether all boxes differ by the same offset, as those of two pixel conventions do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from boxwright.analysis.conventions import one_based_option
from boxwright.datasets.dataset import Dataset

_FEWEST = 3
_NEARLY_ALL = 0.9
"""Of the boxes; those at an edge of the image may be clipped."""
_MOST_KINDS = 10_000

_VOC = "counts from 1 with the last pixel included, as Pascal VOC does"
_MEANINGS: dict[tuple[float, float, float, float], tuple[int, str]] = {
    (1, 1, 0, 0): (1, _VOC),
    (-1, -1, 0, 0): (0, _VOC),
    (1, 1, 1, 1): (1, "counts from 1"),
    (-1, -1, -1, -1): (0, "counts from 1"),
    (0, 0, -1, -1): (1, "includes the last pixel, so that its boxes end one pixel early"),
    (0, 0, 1, 1): (0, "includes the last pixel, so that its boxes end one pixel early"),
}
"""By the offset from the first dataset to the second: which of the two has another convention, and its description."""


@dataclass(frozen=True)
class Offset:
    """An offset that nearly all boxes have.

    Attributes:
        coordinates: The second dataset's ``xmin ymin xmax ymax`` minus the first's, in pixels.
        boxes: The number of boxes with this offset.
        of: The number of all boxes.
        meaning: The pixel convention that explains it; empty if none does.
        remedy: What to do; empty if no option helps.
    """

    coordinates: tuple[float, float, float, float]
    boxes: int
    of: int
    meaning: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        shift = ", ".join(f"{each:+g}" if each else "0" for each in self.coordinates)
        how_many = "all" if self.boxes == self.of else f"{self.boxes:,} of {self.of:,}"
        because = ": another pixel convention" if self.meaning else ""
        return f"the second looks shifted by ({shift}) in {how_many} boxes{because}"

    def explains(self, first: Sequence[float], second: Sequence[float]) -> bool:
        """Returns whether a box differs by exactly this offset, to a tenth of a pixel."""
        return _rounded(after - before for before, after in zip(first, second, strict=True)) == self.coordinates

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        return {
            "edges": list(self.coordinates),
            "boxes": self.boxes,
            "of": self.of,
            "meaning": self.meaning or None,
            "remedy": self.remedy or None,
        }


class Offsets:
    """Counts the offsets of boxes, to a tenth of a pixel."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[float, ...]] = Counter()
        self._boxes = 0

    def add(self, moves: Sequence[float]) -> None:
        """Counts one box by the changes of its four coordinates, in pixels."""
        self._boxes += 1
        self._counts[_rounded(moves)] += 1
        if len(self._counts) > _MOST_KINDS:  # not one offset, then; the frequent ones are kept
            self._counts = Counter(dict(self._counts.most_common(_MOST_KINDS // 10)))

    def systematic(self, first: Dataset, second: Dataset) -> Offset | None:
        """Returns the offset that nearly all boxes have, if it is not zero."""
        if not self._counts:
            return None
        (xmin, ymin, xmax, ymax), number = self._counts.most_common(1)[0]
        offset = (xmin, ymin, xmax, ymax)
        if not any(offset) or number < _FEWEST or number < _NEARLY_ALL * self._boxes:
            return None
        if offset not in _MEANINGS:
            return Offset(offset, number, self._boxes)
        odd, description = _MEANINGS[offset]
        option = one_based_option((first, second)[odd]) if description is _VOC else ""
        ordinal = ("first", "second")[odd]
        return Offset(
            offset,
            number,
            self._boxes,
            f"the {ordinal} {description}",
            f"read the {ordinal} with {option}" if option else "",
        )


def _rounded(moves: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(move, 1) + 0.0 for move in moves)
