"""Boxes as the JSON objects of an instances or detections file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from boxwright import Boxes, Edges
from boxwright_coco.categories import ClassNumbers
from boxwright_coco.numbers import NumberTexts, far_edge, is_number, span_between
from boxwright_coco.texts import OWN, members, named_text
from boxwright_coco.values import BOX_KEYS

_EXACT: Final = 2.0**52
_KEPT: Final = 1 << 10
_NOTHING_MORE: Final = '"iscrowd":0,"segmentation":[]}'
_DETECTION_KEYS: Final = frozenset({"image_id", "category_id", "bbox", OWN})


class BoxTexts:
    """Writes boxes from their class on: the numbers of annotation and image, which stand before it, come last.

    Args:
        classes: The text of each class's number.
        ids: Whether the attribute ``id`` is the annotation's number.
    """

    def __init__(self, classes: ClassNumbers, *, ids: bool) -> None:
        self._classes = classes
        self._ids = ids
        self._texts = NumberTexts()
        self._tails: dict[int, tuple[Mapping[str, Any], str | None]] = {}

    def annotations(self, boxes: Boxes) -> tuple[list[str], list[int | None] | None]:
        """What an instances file says of a picture's boxes, ``"category_id":1,...}``, and the numbers that they want.

        Raises:
            ValueError: A class has no number, or JSON cannot hold a value.
        """
        classes, numbers, texts = self._classes, self._texts, []
        wishes: list[int | None] = []
        label = ""
        try:
            for label, edges, attributes in zip(boxes.labels, boxes.edges, boxes.attributes, strict=True):
                xmin, ymin, xmax, ymax = edges
                width, height = xmax - xmin, ymax - ymin
                tail = self._tail(attributes) if attributes else _NOTHING_MORE
                if tail is None or xmin % 1 or ymin % 1 or xmax % 1 or ymax % 1 or width + height > _EXACT:
                    texts.append(f'"category_id":{classes[label]},{self._annotation(edges, attributes)}')
                else:
                    texts.append(
                        f'"category_id":{classes[label]},'
                        f'"bbox":[{numbers[xmin]},{numbers[ymin]},{numbers[width]},{numbers[height]}],'
                        f'"area":{int(width * height)},{tail}'
                    )
                if "id" in attributes:
                    wanted = attributes["id"] if self._ids else None
                    wishes += [None] * (len(texts) - 1 - len(wishes))
                    wishes.append(wanted if is_number(wanted) else None)
        except ValueError as error:
            raise ValueError(f"box {len(texts) + 1} ({label}): {error}") from None
        return texts, [*wishes, *[None] * (len(texts) - len(wishes))] if wishes else None

    def detections(self, boxes: Boxes) -> list[str]:
        """What a detections file says of a picture's boxes, each of which has a ``score``.

        Raises:
            ValueError: A box has no score, a class has no number, or JSON cannot hold a value.
        """
        texts = []
        for number, (label, edges, attributes) in _numbered(boxes):
            try:
                if not _is_size(attributes.get("score")):
                    raise ValueError("it has no score, which every detection needs")
                shape, _, exact = self._shape(edges)
                given = {key: value for key, value in attributes.items() if key != "id" or self._ids}
                more = members(given, _DETECTION_KEYS, exact)
                texts.append(f'"category_id":{self._classes[label]},"bbox":{shape}{more}}}')
            except ValueError as error:
                raise ValueError(f"box {number} ({label}): {error}") from None
        return texts

    def _tail(self, attributes: Mapping[str, Any]) -> str | None:
        """What stands behind the area, where that does not depend on the box; boxes that share attributes share it."""
        kept = self._tails.get(id(attributes))
        if kept is not None and kept[0] is attributes:
            return kept[1]
        tail = None if "id" in attributes or "area" in attributes else self._members(dict(attributes), None)
        if type(attributes) is MappingProxyType and len(self._tails) < _KEPT:
            self._tails[id(attributes)] = attributes, tail
        return tail

    def _annotation(self, edges: Edges, attributes: Mapping[str, Any]) -> str:
        """An annotation from its box on."""
        shape, size, exact = self._shape(edges)
        given = dict(attributes)
        if "id" in given and (is_number(given["id"]) or not self._ids):
            del given["id"]
        if "area" in given and _is_size(given["area"]):
            size = given.pop("area")
        return f'"bbox":{shape},"area":{self._texts[size]},{self._members(given, exact)}'

    @staticmethod
    def _members(given: dict[str, Any], exact: list[float] | None) -> str:
        """What stands behind the area."""
        crowd, outline = 0, "[]"
        if "iscrowd" in given and isinstance(given["iscrowd"], int):
            crowd = int(given.pop("iscrowd"))
        if "segmentation" in given:
            outline = named_text("segmentation", given.pop("segmentation"))
        more = members(given, BOX_KEYS, exact) if given or exact else ""
        return f'"iscrowd":{crowd},"segmentation":{outline}{more}}}'

    def _shape(self, edges: Edges) -> tuple[str, float, list[float] | None]:
        """``[x,y,width,height]``, the area, and the edges where those four cannot give them back to the last bit."""
        texts = self._texts
        xmin, ymin, xmax, ymax = edges
        width, height = xmax - xmin, ymax - ymin
        exact = True
        if xmin % 1 or ymin % 1 or xmax % 1 or ymax % 1 or width + height > _EXACT:
            if not math.isfinite(width * height) or not math.isfinite(width + height):
                raise ValueError("it is too large to have an area")
            width, height = span_between(xmin, xmax), span_between(ymin, ymax)
            exact = far_edge(xmin, width) == xmax and far_edge(ymin, height) == ymax
        text = f"[{texts[xmin]},{texts[ymin]},{texts[width]},{texts[height]}]"
        return text, width * height, None if exact else list(edges)


def _is_size(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(value - value == 0)


def _numbered(boxes: Boxes) -> enumerate[tuple[str, Edges, Mapping[str, Any]]]:
    return enumerate(zip(boxes.labels, boxes.edges, boxes.attributes, strict=True), start=1)
