"""The annotations of a COCO file as columns, at most 79 bytes each."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from boxwright_coco.document import UNREADABLE, decoded_text
from boxwright_coco.numbers import EXACT, SCALE, as_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from boxwright_coco.images import Images

NO_ID: Final = -(2**63)
"""The value for a missing id in the column of ids."""

OUTLINED, CROWD, WHOLE, AGAIN = 1, 2, 4, 8
"""The states of an annotation: it has a segmentation; ``iscrowd`` is 1; its area is an integer; it must be read again,
because the columns do not represent it."""

_EXACT: Final = 2.0**52  # above this, integers are not added like floats
_EMPTY: Final = 2  # the length of []
_SHORTEST: Final = len("[[1,2]]")


class _Row(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    id: int = NO_ID
    area: int | float = float("nan")
    iscrowd: int = 0
    segmentation: msgspec.Raw = msgspec.Raw()


class _RowWithMore(_Row, gc=False, forbid_unknown_fields=False):
    """A row that may have other keys, which are skipped."""


_ROWS: Final = msgspec.json.Decoder(list[_Row])
_TEXTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ROW: Final = msgspec.json.Decoder(_Row)
_ROW_WITH_MORE: Final = msgspec.json.Decoder(_RowWithMore)


class Annotations:
    """Columns with one entry per annotation, sorted by image after :meth:`group`.

    What the columns cannot represent is read again from the file for its image: values of other keys, and values
    that are unusual or invalid. Segmentations, which are most of a file, are skipped, and read only if they are
    used.

    Attributes:
        categories: The class ids, int64.
        ids: The ids of the annotations, int64, or :data:`NO_ID`.
        coordinates: Shape (N, 4), float64: ``xmin, ymin, xmax, ymax`` in pixels.
        areas: float64; NaN if the area is that of the box.
        states: One byte each: sums of :data:`OUTLINED`, :data:`CROWD` and :data:`WHOLE`, or :data:`AGAIN`.
        starts: The offset of each in the file, in the order of the file, and finally that of the end of the array.
        strays: The annotations that belong to no image.
        first_with: The first annotation of each duplicate id; both in the order of the file.
    """

    def __init__(self) -> None:
        self.starts = array("Q")
        self.first_with: dict[int, int] = {}
        self.strays = range(0)
        self._collected = {name: array(code) for name, code in _COLUMNS.items()}
        self._odd_images: dict[int, Any] = {}  # those that are not integers
        self._order: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.starts) - 1

    def take(self, text: bytes, starts: list[int]) -> bool:
        """Adds the elements of an array with these offsets; returns false if they must be added one by one."""
        try:
            rows, more = _decoded(text)
        except UNREADABLE:
            return False
        if len(rows) != len(starts):  # a nested object was taken for an element
            return False
        try:
            numbers = np.array([(row.image_id, row.category_id, row.id) for row in rows], np.int64)
            given_areas = [row.area for row in rows]
            given = np.array(given_areas, np.float64)
            crowds = np.array([row.iscrowd for row in rows], np.int64)
        except OverflowError:
            return False
        boxes = np.array([row.bbox for row in rows])
        lengths = np.array([len(row.segmentation) for row in rows])
        near, spans = boxes[:, :2], boxes[:, 2:]
        with np.errstate(over="ignore", invalid="ignore"):
            usual = (np.abs(boxes) <= _EXACT).all(axis=1) & (spans >= 0).all(axis=1)
            areas = spans[:, 0] * spans[:, 1]
            other = ~np.isnan(given) & (given != areas)
            again = ~usual | ((lengths > _EMPTY) & (lengths < _SHORTEST)) | (lengths == 1)
            again |= (crowds < 0) | (crowds > 1) | (np.abs(given) > _EXACT)
            again |= more
            far = far_coordinates(near, spans)
        whole = np.array([type(area) is int for area in given_areas])
        states = OUTLINED * (lengths > _EMPTY) + CROWD * crowds + WHOLE * whole
        self._add(
            starts,
            images=numbers[:, 0],
            categories=numbers[:, 1],
            ids=numbers[:, 2],
            coordinates=np.where(again[:, None], 0.0, np.hstack([near, far])),
            areas=np.where(other, given, np.nan),
            states=np.where(again, AGAIN, states).astype(np.int8),
        )
        return True

    def _add(self, starts: list[int], **columns: NDArray[Any]) -> None:
        self.starts.extend(starts)
        for name, column in columns.items():
            self._collected[name].frombytes(np.ascontiguousarray(column).tobytes())

    def extend(self, rows: list[Any], starts: list[int]) -> None:
        """Adds annotations of any kind, which are read again."""
        for row, start in zip(rows, starts, strict=True):
            keys: dict[str, Any] = row if isinstance(row, dict) else {}
            image, category, number = (as_number(keys.get(key)) for key in ("image_id", "category_id", "id"))
            if image is None:
                self._odd_images[len(self.starts)] = keys.get("image_id")
            self._add(
                [start],
                images=np.array([image or 0], np.int64),
                categories=np.array([NO_ID if category is None else category], np.int64),
                ids=np.array([NO_ID if number is None else number], np.int64),
                coordinates=np.zeros(4),
                areas=np.array([np.nan]),
                states=np.array([AGAIN], np.int8),
            )

    def group(self, images: Images, end: int) -> None:
        """Sorts the annotations by image; called once, after all were added.

        Args:
            images: The images.
            end: The offset of the end of the array.
        """
        self.starts.append(end)
        collected = {name: np.asarray(each) for name, each in self._collected.items()}
        del self._collected
        places = images.positions(collected.pop("images"))
        for number, image in self._odd_images.items():
            places[number] = images.position(decoded_text(image)) if isinstance(image, str) else -1
        del self._odd_images
        self._find_repeated(collected["ids"])
        counts = np.bincount(places + 1, minlength=len(images) + 1).astype(np.int32)
        self._firsts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        self.strays = range(int(counts[0]))
        if (places[1:] < places[:-1]).any():
            self._order = np.argsort(places, kind="stable").astype(np.int32)
        self.categories = self._sorted(collected.pop("categories"))
        self.ids = self._sorted(collected.pop("ids"))
        self.areas = self._sorted(collected.pop("areas"))
        self.coordinates = self._sorted(collected.pop("coordinates").reshape(-1, 4))
        self.states = self._sorted(collected.pop("states")).tobytes()

    def _sorted(self, column: NDArray[Any]) -> NDArray[Any]:
        return column if self._order is None else column[self._order]

    def of(self, position: int) -> range:
        """Returns the annotations of the image at a position, in the order of the file."""
        return range(int(self._firsts[position + 1]), int(self._firsts[position + 2]))

    def in_file(self, number: int) -> int:
        """Returns the number of an annotation in the order of the file."""
        return number if self._order is None else self._order.item(number)

    def _find_repeated(self, ids: NDArray[np.int64]) -> None:
        if not (ids[1:] <= ids[:-1]).any():
            return
        ordered = np.sort(ids)
        repeated = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist()) - {NO_ID}
        if repeated:
            for number, each in enumerate(ids.tolist()):
                if each in repeated:
                    self.first_with.setdefault(each, number)


def _decoded(text: bytes) -> tuple[list[_Row], Any]:
    """Returns the elements of an array, and which of them have other members."""
    try:
        return _ROWS.decode(text), False
    except UNREADABLE:
        rows: list[_Row] = []
        more: list[bool] = []
        for each in _TEXTS.decode(text):
            try:
                rows.append(_ROW.decode(each))
                more.append(False)
            except UNREADABLE:
                rows.append(_ROW_WITH_MORE.decode(each))
                more.append(True)
        return rows, np.array(more)


_COLUMNS: Final = {"images": "q", "categories": "q", "ids": "q", "coordinates": "d", "areas": "d", "states": "b"}


def far_coordinates(near: NDArray[np.float64], spans: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the same as :func:`boxwright_coco.numbers.far_coordinate` for arrays of one shape."""
    far = near + spans
    scaled_near, scaled_spans = np.rint(near * SCALE), np.rint(spans * SCALE)
    short = (far % 1 != 0) & (np.abs(near) < EXACT) & (np.abs(spans) < EXACT)
    short &= (scaled_near / SCALE == near) & (scaled_spans / SCALE == spans)
    return np.where(short, (scaled_near + scaled_spans) / SCALE, far)
