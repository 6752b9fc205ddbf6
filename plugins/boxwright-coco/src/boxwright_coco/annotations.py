"""The annotations of a COCO file as columns: what most of them consist of, at 65 bytes each at most."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, chain, islice, pairwise
from operator import add, gt, mul, ne
from typing import Any, Final

from boxwright_coco.document import mended
from boxwright_coco.numbers import as_number, far_edge

NO_ID: Final = -(2**63)
"""Stands in the column of the annotations' own numbers where there is none."""

_NUMBERS: Final = {int, float}
_NEEDED: Final = frozenset({"image_id", "category_id", "bbox"})
_USUAL: Final = frozenset({*_NEEDED, "id", "area", "iscrowd", "segmentation"})


class Annotations:
    """Columns, one entry an annotation, in the order of the file.

    Whole batches are checked by their columns. What the columns cannot hold is read again from the file when the turn
    of its picture comes: an annotation that says more, and all of a batch in which anything is out of the ordinary, or
    whose annotations do not all have the same keys.

    Attributes:
        categories: The numbers of the classes.
        ids: The annotations' own numbers, or :data:`NO_ID`.
        edges: Four an annotation: ``xmin, ymin, xmax, ymax`` in pixels.
        starts: Where each begins in the file, and at last where the array ends.
        again: One byte an annotation: 1 where it has to be read again.
        strays: Those that belong to no picture.
        first_with: The first annotation of each number that stands more than once.
    """

    def __init__(self) -> None:
        self.categories = array("q")
        self.ids = array("q")
        self.edges = array("d")
        self.starts = array("Q")
        self.again = bytearray()
        self.strays: Sequence[int] = ()
        self.first_with: dict[int, int] = {}
        self._images = array("q")
        self._odd_images: dict[int, Any] = {}  # those that are no numbers
        self._firsts: Sequence[int] = ()
        self._order: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.again)

    def extend(self, rows: list[Any], starts: list[int]) -> None:
        """Adds a batch of annotations and their places."""
        try:
            columns = _columns(rows)
        except (KeyError, OverflowError, TypeError, ValueError):
            columns = None
        self.starts.extend(starts)
        if columns is None:
            self._extend_by_hand(rows)
            return
        images, categories, ids, edges, again = columns
        self._images += images
        self.categories += categories
        self.ids += ids
        self.edges += edges
        self.again += again

    def _extend_by_hand(self, rows: list[Any]) -> None:
        for row in rows:
            keys: dict[str, Any] = row if isinstance(row, dict) else {}
            image, category, number = (as_number(keys.get(key)) for key in ("image_id", "category_id", "id"))
            if image is None:
                self._odd_images[len(self)] = keys.get("image_id")
            self._images.append(image or 0)
            self.categories.append(NO_ID if category is None else category)
            self.ids.append(NO_ID if number is None else number)
            self.edges.extend((0.0, 0.0, 0.0, 0.0))
            self.again.append(1)

    def group(self, positions: Mapping[Any, int], end: int) -> None:
        """Brings together what belongs to one picture; called once, after all were added.

        Args:
            positions: The position of each picture by its number.
            end: Where the array ends in the file.
        """
        self.starts.append(end)
        places = [positions.get(image, -1) for image in self._images]
        for number, image in self._odd_images.items():
            places[number] = positions.get(mended(image), -1) if isinstance(image, str) else -1
        counts = Counter(places)
        size = 1 + max(positions.values(), default=-1)
        self._firsts = array("Q", accumulate((counts[place] for place in range(size)), initial=counts[-1]))
        if any(map(gt, places, islice(places, 1, None))):
            self._order = array("Q", sorted(range(len(places)), key=places.__getitem__))
        self.strays = self._between(0, counts[-1])
        self._find_repeated()
        del self._images, self._odd_images

    def of(self, position: int) -> Sequence[int]:
        """The annotations of the picture at a position, in the order of the file."""
        return self._between(self._firsts[position], self._firsts[position + 1])

    def _between(self, start: int, end: int) -> Sequence[int]:
        return range(start, end) if self._order is None else self._order[start:end]

    def _find_repeated(self) -> None:
        ids = self.ids
        if not any(map(int.__ge__, ids, islice(ids, 1, None))):
            return
        repeated = {one for one, other in pairwise(sorted(ids)) if one == other} - {NO_ID}
        if repeated:
            for number, each in enumerate(ids):
                if each in repeated:
                    self.first_with.setdefault(each, number)


def _columns(rows: list[dict[str, Any]]) -> tuple[Any, ...] | None:
    """The columns of a batch, or ``None`` where it is not all alike and as it should be."""
    layouts = set(map(tuple, rows))
    keys = frozenset(layouts.pop())
    if layouts or not keys >= _NEEDED:
        return None
    images = _whole([row["image_id"] for row in rows])
    categories = _whole([row["category_id"] for row in rows])
    ids = _whole([row["id"] for row in rows]) if "id" in keys else array("q", [NO_ID]) * len(rows)
    boxes = [row["bbox"] for row in rows]
    numbers = list(chain.from_iterable(boxes))
    kinds = set(map(type, numbers))
    if set(map(type, boxes)) != {list} or set(map(len, boxes)) != {4} or not kinds <= _NUMBERS:
        return None
    left, top, widths, heights = (numbers[i::4] for i in range(4))
    total = sum(numbers)
    if total - total != 0 or min(widths) < 0 or min(heights) < 0:
        return None
    plus = add if kinds == {int} else far_edge
    numbers[2::4] = map(plus, left, widths)
    numbers[3::4] = map(plus, top, heights)
    return images, categories, ids, array("d", numbers), _again(rows, keys, list(map(mul, widths, heights)))


def _whole(values: list[Any]) -> array[int]:
    if set(map(type, values)) != {int}:
        raise TypeError("not all are whole numbers")
    return array("q", values)


def _again(rows: list[dict[str, Any]], keys: frozenset[str], areas: list[float]) -> bytes:
    """Which annotations say more than their columns."""
    if keys - _USUAL:
        return b"\1" * len(rows)
    more: list[Iterable[Any]] = []
    given = [row["area"] for row in rows] if "area" in keys else areas
    if given != areas:
        more.append(map(ne, given, areas))
    for key in {"iscrowd", "segmentation"} & keys:
        values = [row[key] for row in rows]
        if any(values):
            more.append(values)
    if not more:
        return bytes(len(rows))
    return bytes(map(any, zip(*more, strict=True)))
