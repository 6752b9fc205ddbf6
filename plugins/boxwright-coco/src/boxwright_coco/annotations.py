"""The annotations of a COCO file as columns, at most 67 bytes each."""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate, chain, islice, pairwise
from operator import add, gt, mul, ne
from types import MappingProxyType
from typing import Any, Final

from boxwright import NO_ATTRIBUTES
from boxwright_coco.document import Quick, decoded_text
from boxwright_coco.numbers import as_number, far_coordinate
from boxwright_coco.texts import OWN

try:
    from boxwright_speedups import coco_rows as _compiled
except ImportError:  # not installed
    _compiled = None

NO_ID: Final = -(2**63)
"""The value for a missing id in the column of ids."""

_NUMBERS: Final = {int, float}
_NEEDED: Final = frozenset({"image_id", "category_id", "bbox"})
_USUAL: Final = frozenset({*_NEEDED, "id", "area", "iscrowd", "segmentation"})
_KEPT: Final = 1 << 12
_EXACT: Final = 2**52  # above this, integers are not added like floats
_OURS: Final = _USUAL | {OWN}
_KEPT_TYPES: Final = {int, str}


class Annotations:
    """Columns with one entry per annotation, in the order of the file.

    Batches are checked by column. What the columns cannot represent is read again from the file for its image: an
    annotation with a segmentation, a crowd, a different area, or values of other keys that are neither ASCII text nor
    integers, or are too many to be kept; and all annotations of an unusual batch.

    Attributes:
        categories: The class ids.
        ids: The ids of the annotations, or :data:`NO_ID`.
        coordinates: Four per annotation: ``xmin, ymin, xmax, ymax`` in pixels.
        starts: The offset of each in the file, and finally that of the end of the array.
        again: One byte per annotation: 1 if it must be read again.
        strays: The annotations that belong to no image.
        first_with: The first annotation of each duplicate id.
    """

    def __init__(self) -> None:
        self.categories = array("q")
        self.ids = array("q")
        self.coordinates = array("d")
        self.starts = array("Q")
        self.again = bytearray()
        self._kinds = _Kinds()
        self._kinds_of = array("H")
        self._quick_kinds: dict[bytes, int] = {}
        self.strays: Sequence[int] = ()
        self.first_with: dict[int, int] = {}
        self._images = array("q")
        self._odd_images: dict[int, Any] = {}  # those that are not integers
        self._firsts: Sequence[int] = ()
        self._order: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.again)

    @property
    def quick(self) -> Quick | None:
        """Adds elements directly from the text of the file; ``None`` without compiled code."""
        return self._extend_quickly if _compiled is not None else None

    def _extend_quickly(self, text: bytes, at: int, base: int) -> int:
        assert _compiled is not None
        place, *columns = _compiled(text, at, base, self._quick_kinds, self._new_kind)
        images, categories, ids, coordinates, starts, again, kinds = columns
        self._images.frombytes(images)
        self.categories.frombytes(categories)
        self.ids.frombytes(ids)
        self.coordinates.frombytes(coordinates)
        self.starts.frombytes(starts)
        self.again += again
        self._kinds_of.frombytes(kinds)
        return int(place)

    def _new_kind(self, members: bytes) -> int:
        """Returns the kind of an annotation with these other members, each after a comma; -1 for none."""
        try:
            row = json.loads(b"{" + members[1:] + b"}")
        except (ValueError, RecursionError):
            return -1
        if not _OURS.isdisjoint(row):
            return -1
        kind = self._kinds.of(row, tuple(row))
        if kind is None:
            return -1
        if len(self._quick_kinds) < _KEPT:
            self._quick_kinds[members] = kind
        return kind

    def extend(self, rows: list[Any], starts: list[int]) -> None:
        """Adds a batch of annotations and their offsets."""
        columns = None
        if set(map(type, rows)) == {dict}:
            keys = list(map(tuple, rows))
            layouts = {each: frozenset(each) for each in set(keys)}
            with suppress(KeyError, OverflowError, TypeError, ValueError):
                columns = _columns(rows, layouts.values())
        self.starts.extend(starts)
        if columns is None:
            self._extend_one_by_one(rows)
            return
        images, categories, ids, coordinates, again = columns
        self._images += images
        self.categories += categories
        self.ids += ids
        self.coordinates += coordinates
        self.again += again
        self._kinds_of.frombytes(bytes(self._kinds_of.itemsize * len(rows)))
        others = {layout: tuple(key for key in layout if key not in _USUAL) for layout in layouts}
        if any(others.values()):
            self._note_others(rows, [others[each] for each in keys])

    def _note_others(self, rows: list[dict[str, Any]], keys: list[tuple[str, ...]]) -> None:
        """Keeps the other keys of the batch of annotations that was added last."""
        start = len(self) - len(rows)
        for number, (row, others) in enumerate(zip(rows, keys, strict=True), start):
            if others:
                kind = self._kinds.of(row, others) if OWN not in others else None
                if kind is None:
                    self.again[number] = 1
                else:
                    self._kinds_of[number] = kind

    def _extend_one_by_one(self, rows: list[Any]) -> None:
        for row in rows:
            keys: dict[str, Any] = row if isinstance(row, dict) else {}
            image, category, number = (as_number(keys.get(key)) for key in ("image_id", "category_id", "id"))
            if image is None:
                self._odd_images[len(self)] = keys.get("image_id")
            self._images.append(image or 0)
            self.categories.append(NO_ID if category is None else category)
            self.ids.append(NO_ID if number is None else number)
            self.coordinates.extend((0.0, 0.0, 0.0, 0.0))
            self.again.append(1)
            self._kinds_of.append(0)

    def group(self, positions: Mapping[Any, int], end: int) -> None:
        """Groups the annotations by image; called once, after all were added.

        Args:
            positions: The position of each image by id.
            end: The offset of the end of the array.
        """
        self.starts.append(end)
        places = [positions.get(image, -1) for image in self._images]
        for number, image in self._odd_images.items():
            places[number] = positions.get(decoded_text(image), -1) if isinstance(image, str) else -1
        counts = Counter(places)
        size = 1 + max(positions.values(), default=-1)
        self._firsts = array("Q", accumulate((counts[place] for place in range(size)), initial=counts[-1]))
        if any(map(gt, places, islice(places, 1, None))):
            self._order = array("Q", sorted(range(len(places)), key=places.__getitem__))
        self.strays = self._between(0, counts[-1])
        self._find_repeated()
        del self._images, self._odd_images

    def attributes(self, start: int, end: int, *, ids: bool) -> Sequence[Mapping[str, Any]]:
        """Returns the attributes of consecutive annotations that need not be read again.

        Args:
            start: The first.
            end: The one after the last.
            ids: Whether to include their ids.
        """
        kept = self._kinds.attributes
        more = [kept[kind] for kind in self._kinds_of[start:end]]
        if not ids:
            return more
        return [
            MappingProxyType({**each, "id": number}) if number != NO_ID else each
            for each, number in zip(more, self.ids[start:end], strict=True)
        ]

    def of(self, position: int) -> Sequence[int]:
        """Returns the annotations of the image at a position, in the order of the file."""
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


_Columns = tuple[Any, ...]


def _columns(rows: list[dict[str, Any]], layouts: Collection[frozenset[str]]) -> _Columns | None:
    """Returns the columns of a batch with these sets of keys, or ``None`` if anything is unusual."""
    with_ids = sum(["id" in keys for keys in layouts])
    if not all(keys >= _NEEDED for keys in layouts) or 0 < with_ids < len(layouts):
        return None
    images = _whole([row["image_id"] for row in rows])
    categories = _whole([row["category_id"] for row in rows])
    ids = _whole([row["id"] for row in rows]) if with_ids else array("q", [NO_ID]) * len(rows)
    boxes = [row["bbox"] for row in rows]
    numbers = list(chain.from_iterable(boxes))
    kinds = set(map(type, numbers))
    if set(map(type, boxes)) != {list} or set(map(len, boxes)) != {4} or not kinds <= _NUMBERS:
        return None
    left, top, widths, heights = (numbers[i::4] for i in range(4))
    total = sum(numbers)
    if total - total != 0 or min(widths) < 0 or min(heights) < 0 or max(map(abs, numbers)) > _EXACT:
        return None
    plus = add if kinds == {int} else far_coordinate
    numbers[2::4] = map(plus, left, widths)
    numbers[3::4] = map(plus, top, heights)
    again = _again(rows, frozenset().union(*layouts), list(map(mul, widths, heights)))
    return images, categories, ids, array("d", numbers), again


def _whole(values: list[Any]) -> array[int]:
    if set(map(type, values)) != {int}:
        raise TypeError("not all are integers")
    return array("q", values)


def _again(rows: list[dict[str, Any]], keys: frozenset[str], areas: list[float]) -> bytes:
    """Returns which annotations have an area, a segmentation or ``iscrowd`` that is not the default."""
    more: list[Iterable[Any]] = []
    given = [row.get("area", area) for row, area in zip(rows, areas, strict=True)] if "area" in keys else areas
    if given != areas:
        more.append(map(ne, given, areas))
    for key in {"iscrowd", "segmentation"} & keys:
        values = [row.get(key) for row in rows]
        if any(values):
            more.append(values)
    if not more:
        return bytes(len(rows))
    return bytes(map(any, zip(*more, strict=True)))


class _Kinds(dict[tuple[Any, ...], int]):
    """Additional attributes of annotations, each kept once under a number; 0 means none.

    Attributes:
        attributes: The attributes by number.
    """

    def __init__(self) -> None:
        super().__init__()
        self.attributes: list[Mapping[str, Any]] = [NO_ATTRIBUTES]

    def __getstate__(self) -> list[dict[str, Any]]:
        return [dict(each) for each in self.attributes]  # read-only mappings cannot be pickled

    def __setstate__(self, attributes: list[dict[str, Any]]) -> None:
        self.attributes = [*map(MappingProxyType, attributes)]

    def of(self, row: dict[str, Any], keys: Sequence[str]) -> int | None:
        """Returns the number of the values of these keys; ``None`` if they are not kept."""
        values = [row[key] for key in keys]
        if not set(map(type, values)) <= _KEPT_TYPES:
            return None
        kind = self.get((keys, *values))
        if kind is None and len(self) < _KEPT:
            # Text that is not ASCII must be decoded again.
            if not all(map(str.isascii, [*keys, *[value for value in values if type(value) is str]])):
                return None
            kind = self[(keys, *values)] = len(self.attributes)
            self.attributes.append(MappingProxyType(dict(zip(keys, values, strict=True))))
        return kind
