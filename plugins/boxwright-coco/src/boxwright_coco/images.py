"""The images of a COCO file as columns, and the folder of the image files."""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Sequence
from typing import Any, Final

from boxwright import DataError
from boxwright.storage import base_name, is_file, is_folder, is_remote, join, parent
from boxwright_coco.document import decoded_text
from boxwright_coco.numbers import as_number, is_number
from boxwright_coco.values import LARGEST_SIDE

_PLAIN = re.compile(r"(?:[^/\\:.\0][^/\\:\0]*/)*[^/\\:.\0][^/\\:\0]*")
_KEYS: Final = ("id", "file_name", "width", "height")


class Images:
    """Columns with one entry per image, in the order of the file.

    If anything in a batch is unusual, its images are marked to be read again from the file. An image with other keys is
    read again for these.

    Attributes:
        numbers: The id of each image (an integer or text), or ``None``.
        names: File names; ``None`` for those that must be read again.
        widths: In pixels.
        heights: In pixels.
        more: One byte per image: 1 if it has other keys.
        starts: The offset of each in the file, and finally that of the end of the array.
        positions: The position of each id; of the first if there are duplicates.
        repeated: The positions of each duplicate id.
    """

    def __init__(self) -> None:
        self.numbers: list[int | str | None] = []
        self.names: list[str | None] = []
        self.widths = array("I")
        self.heights = array("I")
        self.more = bytearray()
        self.starts = array("Q")
        self.positions: dict[int | str, int] = {}
        self.repeated: dict[int | str | None, list[int]] = {}

    def __len__(self) -> int:
        return len(self.numbers)

    def extend(self, rows: list[Any], starts: list[int]) -> None:
        """Adds a batch of images and their offsets."""
        self.starts.extend(starts)
        try:
            columns = _columns(rows)
        except (KeyError, OverflowError, TypeError):
            columns = None
        if columns is None:
            nothing = [0] * len(rows)
            columns = [_number(row) for row in rows], [None] * len(rows), nothing, nothing, bytes(len(rows))
        numbers, names, widths, heights, more = columns
        self.numbers += numbers
        self.names += names
        self.widths.extend(widths)
        self.heights.extend(heights)
        self.more += more

    def finish(self, end: int) -> None:
        """Sets the positions; called once, after all were added.

        Args:
            end: The offset of the end of the array.
        """
        self.starts.append(end)
        for position, number in enumerate(self.numbers):
            if number is not None and (first := self.positions.setdefault(number, position)) != position:
                self.repeated.setdefault(number, [first]).append(position)


def _columns(rows: list[Any]) -> tuple[list[Any], list[Any], list[int], list[int], bytes] | None:
    """Returns the columns of a batch, or ``None`` if anything is unusual."""
    if set(map(type, rows)) != {dict}:
        return None
    numbers, names, widths, heights = ([row[key] for row in rows] for key in _KEYS)
    if {*map(type, numbers), *map(type, widths), *map(type, heights)} != {int} or min(min(widths), min(heights)) < 1:
        return None
    if not all(map(str.isascii, names)) or not all(map(_PLAIN.fullmatch, names)) or not all(map(is_number, numbers)):
        return None
    if max(max(widths), max(heights)) >= LARGEST_SIDE:
        return None
    return numbers, names, widths, heights, bytes([len(row) > len(_KEYS) for row in rows])


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
