"""Whether boxes differ by one and the same offset, as two pixel conventions do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boxwright.analysis.conventions import one_based_option

if TYPE_CHECKING:
    from boxwright.datasets.dataset import Dataset

_FEWEST = 3
_NEARLY_ALL = 0.9
"""Of the boxes; those at a border may have been cut off there."""
_MOST_KINDS = 10_000

_VOC = "counts from 1 with the last pixel included, as Pascal VOC does"
_MEANING: dict[tuple[float, float, float, float], tuple[int, str]] = {
    (1, 1, 0, 0): (1, _VOC),
    (-1, -1, 0, 0): (0, _VOC),
    (1, 1, 1, 1): (1, "counts from 1"),
    (-1, -1, -1, -1): (0, "counts from 1"),
    (0, 0, -1, -1): (1, "takes the last pixel in, so that its boxes end one too early"),
    (0, 0, 1, 1): (0, "takes the last pixel in, so that its boxes end one too early"),
}
"""By whole pixels from the first dataset to the second: which of the two is the odd one, and what it does."""


@dataclass(frozen=True)
class Offset:
    """One offset that nearly all boxes have.

    Attributes:
        edges: What is added to ``xmin ymin xmax ymax`` on the way from the first dataset to the second, pixels.
        boxes: How many boxes have it.
        of: Of how many.
        meaning: Which pixel convention would explain it; empty where none would.
        remedy: What to do; empty where there is nothing to be done by an option.
    """

    edges: tuple[float, float, float, float]
    boxes: int
    of: int
    meaning: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        shift = ", ".join(f"{edge:+g}" if edge else "0" for edge in self.edges)
        how_many = "all" if self.boxes == self.of else f"{self.boxes:,} of {self.of:,}"
        because = ": another pixel convention" if self.meaning else ""
        return f"the second looks shifted by ({shift}) in {how_many} boxes{because}"

    def explains(self, first: Sequence[float], second: Sequence[float]) -> bool:
        """Whether a box differs by this offset and nothing else, to a tenth of a pixel."""
        return _rounded(after - before for before, after in zip(first, second, strict=True)) == self.edges

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "edges": list(self.edges),
            "boxes": self.boxes,
            "of": self.of,
            "meaning": self.meaning or None,
            "remedy": self.remedy or None,
        }


class Offsets:
    """Counts by how much boxes differ, to a tenth of a pixel."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[float, ...]] = Counter()
        self._boxes = 0

    def add(self, moves: Sequence[float]) -> None:
        """Counts one box: what is added to its four edges, pixels."""
        self._boxes += 1
        self._counts[_rounded(moves)] += 1
        if len(self._counts) > _MOST_KINDS:  # no one offset then; what is frequent stays
            self._counts = Counter(dict(self._counts.most_common(_MOST_KINDS // 10)))

    def systematic(self, first: Dataset, second: Dataset) -> Offset | None:
        """The offset that nearly all boxes have, if it is not nothing."""
        if not self._counts:
            return None
        (xmin, ymin, xmax, ymax), number = self._counts.most_common(1)[0]
        edges = (xmin, ymin, xmax, ymax)
        if not any(edges) or number < _FEWEST or number < _NEARLY_ALL * self._boxes:
            return None
        if edges not in _MEANING:
            return Offset(edges, number, self._boxes)
        odd, habit = _MEANING[edges]
        option = one_based_option((first, second)[odd]) if habit is _VOC else ""
        ordinal = ("first", "second")[odd]
        return Offset(
            edges,
            number,
            self._boxes,
            f"the {ordinal} {habit}",
            f"read the {ordinal} with {option}" if option else "",
        )


def _rounded(moves: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(move, 1) + 0.0 for move in moves)
