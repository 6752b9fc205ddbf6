"""panlabel's JSON, read in parts.

Its layout (https://github.com/strickvl/panlabel/blob/main/src/ir/model.rs)::

    {"info": {...}, "licenses": [...],
     "images": [{"id", "file_name", "width", "height", "license_id"?, "date_captured"?, "attributes"?: {text: text}}],
     "categories": [{"id", "name", "supercategory"?}],
     "annotations": [{"id", "image_id", "category_id", "bbox": {"xmin", "ymin", "xmax", "ymax"}, "confidence"?,
                      "attributes"?: {text: text}}]}

with edges in pixels as the source has them, from 0, xmax and ymax not shifted. An edge that is NaN or infinite is
``null``. The annotations stand after all images and in any order, so the file is gone through once to learn where each
one is; 32 bytes of every box are kept, and the pictures are read one by one.
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
        info: What it says of the dataset.
        licenses: The licences that pictures refer to.
        categories: The classes' names by their numbers, in the file's order.
        parents: The super-categories' names by their classes' names.
        orphans: How many annotations belong to no picture.

    Raises:
        ValueError: The file is not as panlabel writes it.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.info: dict[str, Any] = {}
        self.licenses: list[dict[str, Any]] = []
        self.categories: dict[int, str] = {}
        self.parents: dict[str, str] = {}
        pictures, owners = array("Q"), array("Q")
        self._starts, self._lengths = array("Q"), array("I")
        for key, start, item in parts(path):
            if key == "annotations":
                owners.append(item.value["image_id"])
                self._starts.append(start)
                self._lengths.append(item.length)
            elif key == "images":
                pictures.append(item.value["id"])
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
        images = np.unique(np.array(pictures, np.uint64))
        if len(images) != len(pictures):
            raise ValueError("two pictures have one id")
        self._count = len(pictures)
        self.orphans = int(np.count_nonzero(~np.isin(numbers, images)))

    def __len__(self) -> int:
        """How many pictures there are."""
        return self._count

    def images(self) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
        """Yields each picture with its annotations, both in the file's order."""
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
    """A value of the file, of which the texts may have to be decoded.

    The file is taken for Latin-1, in which every byte is one character, so that a place in the text is a place in the
    file.
    """

    __slots__ = ("_text", "value")

    def __init__(self, value: Any, text: str) -> None:
        self.value = value
        self._text = text

    @property
    def length(self) -> int:
        """How many bytes it takes."""
        return len(self._text)

    def decoded(self) -> Any:
        """The value with its texts as they are meant."""
        return self.value if self._text.isascii() else json.loads(self._text.encode("latin-1"))


def parts(path: str, stop: str = "") -> Iterator[tuple[str, int, Item]]:
    """Yields ``(key, place, value)`` of a JSON file: the elements of arrays one by one, and other values whole.

    Args:
        path: A file whose outermost value is an object, or an array, whose elements come with an empty key.
        stop: The key before which to end.

    Raises:
        ValueError: It is no JSON.
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
    """A place in a file of JSON, of which only the part around it is in memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._text = ""
        self._at = 0
        self._before = 0  # bytes of the file before the text

    def peek(self) -> str:
        """The next character that is no space, comma or colon.

        Raises:
            ValueError: The file has ended.
        """
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _BETWEEN:
                    return self._text[self._at]
                self._at += 1
            if not self._fill():
                raise ValueError("it ends too soon")

    def take(self, mark: str) -> None:
        """Steps over one character.

        Raises:
            ValueError: It is another.
        """
        if self.peek() != mark:
            raise ValueError(f"expected {mark!r}")
        self._at += 1

    def value(self) -> tuple[int, Item]:
        """The next value, and where it begins.

        Raises:
            ValueError: There is none.
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
