"""panlabel's JSON, read in parts.

Its layout (https://github.com/strickvl/panlabel/blob/main/src/ir/model.rs)::

    {"info": {...}, "licenses": [...],
     "images": [{"id", "file_name", "width", "height", "license_id"?, "date_captured"?, "attributes"?: {text: text}}],
     "categories": [{"id", "name", "supercategory"?}],
     "annotations": [{"id", "image_id", "category_id", "bbox": {"xmin", "ymin", "xmax", "ymax"}, "confidence"?,
                      "attributes"?: {text: text}}]}

with coordinates in pixels as in the source, from 0, without a shift. A coordinate that is NaN or infinite is ``null``.
The annotations follow all images in any order, so the file is read once to find the position of each; 32 bytes per box
are kept, and the images are read one at a time.
"""

from __future__ import annotations

import json
import mmap
from array import array
from collections.abc import Iterator
from typing import IO, Any, cast

import numpy as np

_CHUNK = 1 << 13
_DECODER = json.JSONDecoder()
_BETWEEN = " \t\r\n,:"


class Document:
    """One file of panlabel's JSON.

    Attributes:
        info: The description of the dataset.
        licenses: The licenses that images refer to.
        categories: The class names by id, in the order of the file.
        parents: The supercategories by class name.
        orphans: The number of annotations that belong to no image.

    Raises:
        ValueError: The file does not have panlabel's layout.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.info: dict[str, Any] = {}
        self.licenses: list[dict[str, Any]] = []
        self.categories: dict[int, str] = {}
        self.parents: dict[str, str] = {}
        ids, owners = array("Q"), array("Q")
        self._starts, self._lengths = array("Q"), array("I")
        for key, start, item in parts(path):
            if key == "annotations":
                owners.append(item.value["image_id"])
                self._starts.append(start)
                self._lengths.append(item.length)
            elif key == "images":
                ids.append(item.value["id"])
            elif key == "categories":
                category = item.decoded()
                self.categories[category["id"]] = category["name"]
                if category.get("supercategory"):
                    self.parents[category["name"]] = category["supercategory"]
            elif key == "licenses":
                self.licenses.append(item.decoded())
            else:
                self.info = item.decoded()
        numbers = np.array(owners, np.uint64)
        self._order = np.argsort(numbers, kind="stable")
        self._owners = numbers[self._order]
        images = np.unique(np.array(ids, np.uint64))
        if len(images) != len(ids):
            raise ValueError("duplicate image id")
        self._count = len(ids)
        self.orphans = int(np.count_nonzero(~np.isin(numbers, images)))

    def __len__(self) -> int:
        """Returns the number of images."""
        return self._count

    def images(self) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
        """Yields each image with its annotations, both in the order of the file."""
        with open(self._path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            for key, _, item in parts(self._path, stop="categories"):
                if key == "images":
                    image = item.decoded()
                    yield image, self._annotations(content, image["id"])

    def _annotations(self, content: mmap.mmap, image: int) -> list[dict[str, Any]]:
        number = np.uint64(image)
        first, last = (int(np.searchsorted(self._owners, number, side)) for side in ("left", "right"))
        places = [(self._starts[i], self._lengths[i]) for i in self._order[first:last]]
        return [json.loads(content[start : start + length]) for start, length in places]


class Item:
    """A value of the file, whose texts may need decoding.

    The file is read as Latin-1, in which every byte is one character, so that positions in the text are positions in
    the file.
    """

    __slots__ = ("_text", "value")

    def __init__(self, value: Any, text: str) -> None:
        self.value = value
        self._text = text

    @property
    def length(self) -> int:
        """Its length in bytes."""
        return len(self._text)

    def decoded(self) -> Any:
        """Returns the value with its texts decoded."""
        return self.value if self._text.isascii() else json.loads(self._text.encode("latin-1"))


def parts(path: str, stop: str = "") -> Iterator[tuple[str, int, Item]]:
    """Yields ``(key, position, value)`` of a JSON file: the elements of arrays one at a time, and other values whole.

    Args:
        path: A file whose outermost value is an object, or an array, whose elements have an empty key.
        stop: The key before which to end.

    Raises:
        ValueError: The file is not JSON.
    """
    with open(path, "rb") as file:
        cursor = _Cursor(file)
        if cursor.peek() == "[":
            cursor.take("[")
            while cursor.peek() != "]":
                yield "", *cursor.value()
            return
        cursor.take("{")
        while cursor.peek() != "}":
            key = cast(str, cursor.value()[1].value)
            if key == stop:
                return
            if cursor.peek() != "[":
                yield key, *cursor.value()
                continue
            cursor.take("[")
            while cursor.peek() != "]":
                yield key, *cursor.value()
            cursor.take("]")


class _Cursor:
    """A position in a JSON file, of which only the part around it is in memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._text = ""
        self._at = 0
        self._before = 0  # bytes of the file before this text

    def peek(self) -> str:
        """Returns the next character that is not a space, comma or colon.

        Raises:
            ValueError: The file has ended.
        """
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _BETWEEN:
                    return self._text[self._at]
                self._at += 1
            if not self._fill():
                raise ValueError("it ends too early")

    def take(self, mark: str) -> None:
        """Skips one character.

        Raises:
            ValueError: The next character is another.
        """
        if self.peek() != mark:
            raise ValueError(f"expected {mark!r}")
        self._at += 1

    def value(self) -> tuple[int, Item]:
        """Returns the next value and its position.

        Raises:
            ValueError: There is no value.
        """
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except ValueError:
                if not self._fill():
                    raise
                continue
            start, text = self._at, self._text[self._at : end]
            self._at = end
            return self._before + start, Item(value, text)

    def _fill(self) -> bool:
        chunk = self._file.read(max(_CHUNK, len(self._text) - self._at))
        self._before += self._at
        self._text = self._text[self._at :] + chunk.decode("latin-1")
        self._at = 0
        return bool(chunk)
