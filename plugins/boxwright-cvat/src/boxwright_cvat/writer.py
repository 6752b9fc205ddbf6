"""Writes CVAT for images 1.1."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from boxwright import Coordinates, DataError, LabelMap, Sample, is_text
from boxwright.datasets import Output, Skeleton, shape_of
from boxwright_cvat.items import MANUAL
from boxwright_cvat.reader import SUBSETS
from boxwright_cvat.shapes import Xml, attribute_text, element, text_of, upright

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that XML 1.0 cannot represent (https://www.w3.org/TR/xml/#charsets)."""

_SKIP = "or leave it out with --on-error skip"


class CvatWriter:
    """Writes one ``<image>`` per sample, as CVAT's format "CVAT for images 1.1" has it.

    A box whose attributes keep the shape that it was made from is written as that shape, others as boxes. CVAT has no
    polygons of several parts: these are boxes with attributes. ``occluded``, ``z_order``, ``group_id`` and ``source``
    are XML attributes, all others ``<attribute>`` elements with the value as text, or as JSON if it is not a text.

    Args:
        output: The file.
        label_map: The classes, for ``<meta>``.
    """

    def __init__(self, output: Output, label_map: LabelMap | None = None) -> None:
        self._file = output.open()
        self._count = 0
        self._names: set[str] = set()
        names = [name for name in label_map.names if is_text(name) and not _FORBIDDEN.search(name)] if label_map else []
        labels = "".join(f"<label><name>{escape(name)}</name><attributes></attributes></label>\n" for name in names)
        self._put(
            '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
            f"<meta>\n<task>\n<labels>\n{labels}</labels>\n</task>\n</meta>\n"
        )

    def write(self, sample: Sample) -> None:
        """Adds one image.

        Raises:
            DataError: XML or JSON cannot represent a value, or the name is a duplicate.
        """
        name = sample.image.name
        place = sample.source or name
        if name in self._names:
            raise DataError(place, f"duplicate image {name}", f"rename one of them, {_SKIP}")
        try:
            text = self._image(sample)
            text.encode()
        except UnicodeEncodeError:
            raise
        except (TypeError, ValueError, RecursionError) as error:
            raise DataError(place, str(error), f"correct it, {_SKIP}") from None
        self._put(text)
        self._names.add(name)
        self._count += 1

    def close(self) -> None:
        """Finishes the file."""
        self._put("</annotations>\n")
        self._file.close()

    def _put(self, text: str) -> None:
        self._file.write(text.encode())

    def _image(self, sample: Sample) -> str:
        image, boxes = sample.image, sample.boxes
        start = {"id": str(self._count), "name": image.name}
        if sample.split is not None:
            if SUBSETS.get(sample.split.lower(), sample.split) != sample.split:
                raise ValueError(f"the split {sample.split!r} has another name as a subset of CVAT")
            start["subset"] = sample.split
        start |= {"width": str(image.width), "height": str(image.height)}
        rows = zip(boxes.labels, boxes.coordinates, boxes.attributes, strict=True)
        return "".join(
            [
                _opened("image", start, ">\n"),
                *(_shape(*row) for row in rows),
                *(_tag(tag) for tag in _tags(sample.attributes.get("tags", []))),
                "</image>\n",
            ]
        )


def _shape(label: str, coordinates: Coordinates, attributes: Mapping[str, Any]) -> str:
    kept = shape_of(coordinates, attributes) if attributes else None
    drawn: Xml | None = None
    rest = dict(attributes)
    if kept is not None:
        drawn = _skeleton(kept[0]) if isinstance(kept[0], Skeleton) else element(kept[0])
        if drawn is not None:
            rest = {name: value for name, value in rest.items() if name not in kept[1]}
    tag, place, content = drawn or upright(coordinates)
    start = {"label": label, "source": MANUAL, "occluded": "0", **place, "z_order": "0"}
    for name, default in (("occluded", 0), ("z_order", 0), ("group_id", None)):
        if type(rest.get(name)) is int and rest[name] != default:
            start[name] = str(rest.pop(name))
    if isinstance(rest.get("source"), str) and rest["source"] not in ("", MANUAL):
        start["source"] = rest.pop("source")
    return _opened(tag, start, ">") + content + _attributes(rest) + f"</{tag}>\n"


def _skeleton(shape: Skeleton) -> Xml | None:
    names = shape.names or tuple(str(number) for number in range(1, 1 + len(shape.points)))
    if not shape.names:  # reading would return names
        return None
    points = [
        _opened(
            "points",
            {
                "label": name,
                "source": MANUAL,
                "outside": str(int(seen == 0)),
                "occluded": str(int(seen == 1)),
                "points": f"{text_of(x)},{text_of(y)}",
            },
            "></points>",
        )
        for name, (x, y), seen in zip(names, shape.points, shape.visible, strict=True)
    ]
    return "skeleton", {}, "".join(points)


def _tags(tags: Any) -> list[Any]:
    if not isinstance(tags, list):
        raise ValueError(f"the attribute tags is {tags!r:.40}, not a list")
    return tags


def _tag(tag: Any) -> str:
    label = tag.get("label") if isinstance(tag, dict) else tag
    more = tag.get("attributes", {}) if isinstance(tag, dict) else {}
    if not isinstance(label, str) or not isinstance(more, dict) or (isinstance(tag, dict) and not more):
        raise ValueError(f"a tag of the image is {tag!r:.40}, not a label, nor an object with label and attributes")
    return _opened("tag", {"label": label, "source": MANUAL}, ">") + _attributes(more) + "</tag>\n"


def _attributes(attributes: Mapping[str, Any]) -> str:
    return "".join(
        _opened("attribute", {"name": name}, ">") + _escaped(attribute_text(value)) + "</attribute>"
        for name, value in attributes.items()
    )


def _opened(tag: str, attributes: Mapping[str, str], end: str) -> str:
    return f"<{tag} " + " ".join(f"{name}={quoteattr(_checked(text))}" for name, text in attributes.items()) + end


def _escaped(text: str) -> str:
    return escape(_checked(text), {"\r": "&#13;"})


def _checked(text: str) -> str:
    if found := _FORBIDDEN.search(text):
        raise ValueError(f"{text[:40]!r} contains {found[0]!r}, which XML cannot represent")
    return text
