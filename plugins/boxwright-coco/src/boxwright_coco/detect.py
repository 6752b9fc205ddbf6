"""Detects COCO's instances and detections JSON."""

from __future__ import annotations

import re
from typing import Any, Final

from boxwright import BoxwrightError, DataError
from boxwright.plugins import Detection
from boxwright.storage import base_name, filesystem, is_remote, open_regular
from boxwright_coco.document import Document, Scanner

_LOOKED_AT: Final = 1 << 16
_KEYS_OF_OTHERS: Final = {
    "shapes": "labelme",
    "_via_img_metadata": "VGG Image Annotator",
    "_via_settings": "VGG Image Annotator",
    "items": "Datumaro",
}
_OTHER_BOX = re.compile(rb'"bbox"\s*:\s*\{')


def detect(location: str) -> Detection:
    """Checks the first and last 64 kB for COCO's images and annotations, or detections.

    Args:
        location: A path, or a URL that fsspec opens.
    """
    if not base_name(location).lower().endswith(".json"):
        return Detection(False, "its name does not end in .json")
    try:
        head, tail = _ends(location)
        found = _Start(Document(location, head))
    except DataError as error:
        return Detection(False, error.problem)
    except OSError as error:
        return Detection(False, f"cannot be read: {error.strerror or error}")
    except BoxwrightError as error:
        return Detection(False, f"cannot be read: {error}")
    if found.problem and (not tail or (found.is_list and found.first is None)):
        return Detection(False, found.problem)
    return _of_list(found.first) if found.is_list else _of_object(found.keys, tail)


class _Start:
    """The beginning of a JSON document.

    Attributes:
        is_list: Whether it is a list.
        first: The list's first element.
        keys: The keys and values of the object; for a list value, its first element or ``None``.
        problem: Why the rest could not be read; empty if all of it was.
    """

    def __init__(self, document: Document) -> None:
        self.is_list = False
        self.first: Any = None
        self.keys: dict[str, Any] = {}
        self.problem = ""
        with document.open() as file:
            scanner = Scanner(file)
            try:
                self._look(scanner)
            except DataError as error:
                self.problem = error.problem

    def _look(self, scanner: Scanner) -> None:
        self.is_list = scanner.peek() == "["
        if scanner.peek() not in "{[":
            self.problem = "it begins with neither { nor ["
        elif self.is_list:
            scanner.take("[")
            self.first = scanner.value()[0] if scanner.peek() != "]" else None
        else:
            for key in scanner.members():
                self.keys[key] = None
                self._look_at(key, scanner)

    def _look_at(self, key: str, scanner: Scanner) -> None:
        if scanner.peek() != "[":
            self.keys[key] = scanner.value()[0]
            return
        scanner.take("[")
        if scanner.peek() == "]":
            scanner.take("]")
            return
        self.keys[key] = scanner.value()[0]
        while scanner.take(",", "]") == ",":
            scanner.value()


def _of_list(first: Any) -> Detection:
    if not isinstance(first, dict):
        return Detection(
            False, "it is a list of other values than objects" if first is not None else "it is an empty list"
        )
    if "image_id" in first and "category_id" in first and ("bbox" in first or "segmentation" in first):
        return Detection(True, "a list of detections with image_id and category_id: read it with ?truth=instances.json")
    if "image" in first and "annotations" in first:
        return Detection(False, "it is a list of images with annotations, like CreateML's")
    if "data" in first:
        return Detection(False, "it is a list of tasks with data, like Label Studio's")
    return Detection(False, f"it is a list of objects with {_listed(first)}, not image_id, category_id and bbox")


def _of_object(keys: dict[str, Any], tail: bytes) -> Detection:
    for key, other in _KEYS_OF_OTHERS.items():
        if key in keys and "images" not in keys:
            return Detection(False, f"it has the key {key!r}, like files of {other}")
    image, annotation = keys.get("images"), keys.get("annotations")
    if "images" not in keys and not (isinstance(annotation, dict) and "image_id" in annotation):
        return Detection(False, f"it is an object with {_listed(keys)}, not images and annotations")
    named = isinstance(image, dict) and "id" in image and not image.keys().isdisjoint(("file_name", "coco_url"))
    if "images" in keys and image is not None and not named:
        return Detection(False, "its images have no id and file_name")
    if isinstance(annotation, dict):
        for key, kind in (("caption", "captions"), ("segments_info", "panoptic segments")):
            if key in annotation and "bbox" not in annotation:
                return Detection(False, f"it contains {kind} instead of boxes")
        if isinstance(annotation.get("bbox"), dict):
            return Detection(False, "its boxes are objects, not [x, y, width, height]")
    elif _OTHER_BOX.search(tail):
        return Detection(False, "its boxes are objects, not [x, y, width, height]")
    if not tail and not {"annotations", "categories"} & keys.keys():
        return Detection(False, "it has images, but neither annotations nor categories")
    return Detection(True, "an object with images and annotations")


def _listed(keys: dict[str, Any]) -> str:
    return ", ".join(map(repr, list(keys)[:5])) if keys else "no keys"


def _ends(location: str) -> tuple[bytes, bytes]:
    """Returns the first and the last bytes of a file; no last bytes if the first are all."""
    if is_remote(location):
        files, path = filesystem(location)
        size = files.size(path) or 0
        head = files.cat_file(path, start=0, end=_LOOKED_AT)
        tail = files.cat_file(path, start=max(_LOOKED_AT, size - _LOOKED_AT), end=size) if size > _LOOKED_AT else b""
        return head, tail
    with open(location, "rb", opener=open_regular) as file:
        head = file.read(_LOOKED_AT)
        size = file.seek(0, 2)
        file.seek(max(len(head), size - _LOOKED_AT))
        return head, file.read()
