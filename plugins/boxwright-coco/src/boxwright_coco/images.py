"""The images of a COCO file, and the folder of the image files."""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from boxwright import DataError
from boxwright.storage import base_name, is_file, is_folder, is_remote, join, parent
from boxwright_coco.document import UNREADABLE, decoded_text
from boxwright_coco.numbers import as_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PLAIN = re.compile(r"(?:[^/\\:.\0][^/\\:\0]*/)*[^/\\:.\0][^/\\:\0]*")


class _Row(msgspec.Struct, gc=False):
    id: int


_BLOCK: Final = 1 << 16
_ROWS: Final = msgspec.json.Decoder(list[_Row])


class Images:
    """The ids of the images of a file, in the order of the file; the rest is read again for each image.

    Attributes:
        starts: The offset of each in the file, and finally that of the end of the array.
        repeated: The positions of each duplicate id.
    """

    def __init__(self) -> None:
        self.starts = array("Q")
        self.repeated: dict[int | str, list[int]] = {}
        self._numbers = array("q")
        self._odd: dict[int, str | None] = {}  # ids that are not integers
        self._named: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def take(self, text: bytes, starts: list[int]) -> bool:
        """Adds the elements of an array with these offsets; returns false if they must be added one by one."""
        try:
            numbers = array("q", [row.id for row in _ROWS.decode(text)])
        except UNREADABLE:
            return False
        if len(numbers) != len(starts):  # a nested object was taken for an element
            return False
        self.starts.extend(starts)
        self._numbers += numbers
        return True

    def extend(self, rows: list[Any], starts: list[int]) -> None:
        """Adds images with ids of any kind."""
        for row, start in zip(rows, starts, strict=True):
            number = _number(row)
            if not isinstance(number, int):
                self._odd[len(self)] = number
            self.starts.append(start)
            self._numbers.append(number if isinstance(number, int) else 0)

    def finish(self, end: int) -> None:
        """Sorts the ids; called once, after all were added.

        Args:
            end: The offset of the end of the array.
        """
        self.starts.append(end)
        numbers = np.asarray(self._numbers)
        self._order: NDArray[np.int32] | None = None
        if self._odd or (numbers[1:] <= numbers[:-1]).any():
            usual = np.delete(np.arange(len(numbers), dtype=np.int32), list(self._odd))
            self._order = usual[np.argsort(numbers[usual], kind="stable")]
            numbers = numbers[self._order]
            for number in set(numbers[1:][numbers[1:] == numbers[:-1]].tolist()):
                first, end = numbers.searchsorted(number), numbers.searchsorted(number, "right")
                self.repeated[number] = self._order[first:end].tolist()
        self._ordered = numbers
        for position, text in self._odd.items():
            if text is not None and (first := self._named.setdefault(text, position)) != position:
                self.repeated.setdefault(text, [first]).append(position)

    def number(self, position: int) -> int | str | None:
        """Returns the id of the image at a position; ``None`` if it is invalid."""
        return self._odd[position] if position in self._odd else self._numbers[position]

    def position(self, text: str) -> int:
        """Returns the position of the first image whose id is this text; -1 if there is none."""
        return self._named.get(text, -1)

    def positions(self, numbers: NDArray[np.int64]) -> NDArray[np.int32]:
        """Returns the positions of the first images with these ids, shape (N,); -1 if there is none."""
        found = np.full(len(numbers), -1, np.int32)
        if not len(self._ordered):
            return found
        for start in range(0, len(numbers), _BLOCK):
            block = numbers[start : start + _BLOCK]
            places = np.minimum(np.searchsorted(self._ordered, block), len(self._ordered) - 1)
            known = self._ordered[places] == block
            found[start : start + _BLOCK][known] = (places if self._order is None else self._order[places])[known]
        return found


def _number(row: Any) -> int | str | None:
    number = row.get("id") if isinstance(row, dict) else None
    if isinstance(number, str) and number:
        return decoded_text(number)
    return as_number(number)


def is_plain(name: str) -> bool:
    """Returns whether a file name, with ``/``, is inside its folder on every system, and not hidden."""
    return _PLAIN.fullmatch(name) is not None


def image_folder(given: str | None, location: str, names: Sequence[str]) -> str | None:
    """Returns the folder that file names are relative to.

    Args:
        given: The option ``images``, relative to the working directory or to the JSON file.
        location: The JSON file.
        names: File names of some images, to check whether they exist.

    Returns:
        The folder that was passed, or the first of :func:`usual_folders` that contains one of these images, or
        ``None``.

    Raises:
        DataError: The folder does not exist.
    """
    if given is not None:
        relative = join(parent(location), given)
        found = given if is_remote(given) else next((each for each in (given, relative) if is_folder(each)), None)
        if found is None:
            raise DataError(given, f"folder not found, neither here nor next to {location}", "check ?images=")
        return found
    candidates = usual_folders(location)
    return next((folder for folder in candidates if any(is_file(join(folder, name)) for name in names)), None)


def usual_folders(location: str) -> list[str]:
    """Returns the possible folders of the images of a JSON file, the most likely first.

    For ``X/instances_train2017.json`` these are ``X``, ``X/images``, ``X/train2017``, ``X/images/train2017``,
    ``X/instances_train2017``, ``X/images/instances_train2017`` and ``X/data``. If ``X`` is called
    ``annotations`` or ``labels``, the same folders in its parent follow.
    """
    folder = parent(location)
    stem = base_name(location).partition(".")[0].lstrip("_")
    parts = [part for part in (stem.partition("_")[2], stem) if part]
    inside = ["", "images", *(start + part for part in parts for start in ("", "images/")), "data"]
    above = parent(folder) if is_remote(folder) else os.path.normpath(os.path.join(folder, ".."))
    last = base_name(folder if is_remote(folder) else os.path.abspath(folder))
    bases = [folder, above] if last.lower() in ("annotations", "labels") else [folder]
    return [join(base, each) if each else base for base in bases for each in inside]
