"""Boxes as the JSON objects of an instances or detections file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from boxwright import Boxes, Coordinates, JsonAttributes
from boxwright_coco.categories import ClassNumbers
from boxwright_coco.numbers import NumberTexts, is_number, number_text, span_between
from boxwright_coco.texts import OWN, members, named_text
from boxwright_coco.values import BOX_KEYS

_EXACT: Final = 2.0**52
_KEPT: Final = 1 << 10
_OUTLINE: Final = "segmentation"
_NOTHING_MORE: Final = '"iscrowd":0,"segmentation":[]}'
_DETECTION_KEYS: Final = frozenset({"image_id", "category_id", "bbox", OWN})


class BoxTexts:
    """Writes boxes from their class on. The ids of annotation and image, which precede it, are added later.

    Args:
        classes: The text of each class id.
        ids: Whether the attribute ``id`` is the id of the annotation.
    """

    def __init__(self, classes: ClassNumbers, *, ids: bool) -> None:
        self._classes = classes
        self._ids = ids
        self._texts = NumberTexts()
        self._tails: dict[int, tuple[Mapping[str, Any], str | None]] = {}

    def annotations(self, boxes: Boxes) -> tuple[list[str], list[int | None] | None]:
        """Returns the boxes of an image for an instances file, ``"category_id":1,...}``, and their requested ids.

        Raises:
            ValueError: A class has no id, or JSON cannot represent a value.
        """
        classes, numbers, texts = self._classes, self._texts, []
        requested: list[int | None] = []
        label = ""
        try:
            for label, coordinates, attributes in zip(boxes.labels, boxes.coordinates, boxes.attributes, strict=True):
                tail: str | None
                if type(attributes) is JsonAttributes:
                    tail = None
                else:
                    tail = self._tail(attributes) if attributes else _NOTHING_MORE
                xmin, ymin, xmax, ymax = coordinates
                width, height = xmax - xmin, ymax - ymin
                if tail is None or xmin % 1 or ymin % 1 or xmax % 1 or ymax % 1 or width + height > _EXACT:
                    text, own = self._annotation(coordinates, attributes)
                    texts.append(f'"category_id":{classes[label]},{text}')
                    if own is not None:
                        requested += [None] * (len(texts) - 1 - len(requested))
                        requested.append(own)
                else:
                    texts.append(
                        f'"category_id":{classes[label]},'
                        f'"bbox":[{numbers[xmin]},{numbers[ymin]},{numbers[width]},{numbers[height]}],'
                        f'"area":{int(width * height)},{tail}'
                    )
        except ValueError as error:
            raise ValueError(f"box {len(texts) + 1} ({label}): {error}") from None
        return texts, [*requested, *[None] * (len(texts) - len(requested))] if requested else None

    def detections(self, boxes: Boxes) -> list[str]:
        """Returns the boxes of an image, each with a ``score``, for a detections file.

        Raises:
            ValueError: A box has no score, a class has no id, or JSON cannot represent a value.
        """
        texts = []
        for number, (label, coordinates, attributes) in _numbered(boxes):
            try:
                if not _is_size(attributes.get("score")):
                    raise ValueError("the score is missing")
                shape, _, exact = self._shape(coordinates)
                given = {key: value for key, value in attributes.items() if key != "id" or self._ids}
                more = members(given, _DETECTION_KEYS, exact)
                texts.append(f'"category_id":{self._classes[label]},"bbox":{shape}{more}}}')
            except ValueError as error:
                raise ValueError(f"box {number} ({label}): {error}") from None
        return texts

    def _tail(self, attributes: Mapping[str, Any]) -> str | None:
        """Returns the members after the area if they do not depend on the box, the same for shared attributes."""
        kept = self._tails.get(id(attributes))
        if kept is not None and kept[0] is attributes:
            return kept[1]
        if "id" in attributes or "area" in attributes:
            return None
        tail = self._members(dict(attributes), None)
        if type(attributes) is MappingProxyType and len(self._tails) < _KEPT:
            self._tails[id(attributes)] = attributes, tail
        return tail

    def _annotation(self, coordinates: Coordinates, attributes: Mapping[str, Any]) -> tuple[str, int | None]:
        """Returns an annotation from its box on, and its requested id."""
        shape, size, exact = self._shape(coordinates)
        outline = None
        if type(attributes) is JsonAttributes:
            outline = attributes.text(_OUTLINE)
            given = {**attributes.parsed}
            for key in attributes.others:
                if key != _OUTLINE:
                    given[key] = attributes[key]
        else:
            given = {**attributes}
        own = given.get("id")
        if not self._ids or is_number(own):
            given.pop("id", None)
        if "area" in given and _is_size(given["area"]):
            size = given.pop("area")
        text = f'"bbox":{shape},"area":{number_text(size)},{self._members(given, exact, outline)}'
        return text, own if self._ids and is_number(own) else None

    @staticmethod
    def _members(given: dict[str, Any], exact: list[float] | None, text: bytes | None = None) -> str:
        """Returns the members after the area; ``text`` is the segmentation if it was not parsed."""
        outline = "[]" if text is None else text.decode().replace("\n", " ")
        if not given and exact is None:
            return f'"iscrowd":0,"segmentation":{outline}}}'
        crowd = 0
        if "iscrowd" in given and isinstance(given["iscrowd"], int):
            crowd = int(given.pop("iscrowd"))
        if "segmentation" in given:
            outline = named_text("segmentation", given.pop("segmentation"))
        more = members(given, BOX_KEYS, exact) if given or exact else ""
        return f'"iscrowd":{crowd},"segmentation":{outline}{more}}}'

    def _shape(self, coordinates: Coordinates) -> tuple[str, float, list[float] | None]:
        """Returns ``[x,y,width,height]``, the area, and the coordinates if these four cannot restore them exactly."""
        xmin, ymin, xmax, ymax = map(float, coordinates)  # the text of NumPy's is different
        width, height = xmax - xmin, ymax - ymin
        if not math.isfinite(width * height) or not math.isfinite(width + height):
            raise ValueError("it is too large")
        (width, one), (height, other) = span_between(xmin, xmax), span_between(ymin, ymax)
        text = msgspec.json.encode((xmin, ymin, width, height)).decode().replace(".0,", ",").replace(".0]", "]")
        if "e" in text:  # integers have no exponent, however large
            text = f"[{number_text(xmin)},{number_text(ymin)},{number_text(width)},{number_text(height)}]"
        return text, width * height, None if one and other else [*coordinates]


def _is_size(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(value - value == 0)


def _numbered(boxes: Boxes) -> enumerate[tuple[str, Coordinates, Mapping[str, Any]]]:
    return enumerate(zip(boxes.labels, boxes.coordinates, boxes.attributes, strict=True), start=1)
