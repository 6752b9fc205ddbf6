"""Writes an annotation as Pascal VOC XML, laid out as labelImg lays it out and close to the development kit's own."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, cast

from boxwright.compiled import speedups
from boxwright.schemas import Boxes, Edges, Sample
from boxwright_voc.xml.annotation import DEFAULT_DATABASE, DEFAULT_DEPTH, DEFAULT_POSE
from boxwright_voc.xml.samples import moved
from boxwright_voc.xml.scalars import is_length
from boxwright_voc.xml.values import (
    attribute_lines,
    child_lines,
    escaped,
    in_quotes,
    is_scalar,
    is_text,
    json_line,
)

_KEPT = 1 << 14
_IN_SOURCE = frozenset({"database"})
_IN_SIZE = frozenset({"width", "height", "depth"})
_IN_BNDBOX = frozenset({"xmin", "ymin", "xmax", "ymax"})
_compiled = speedups.voc_objects if speedups is not None else None
_HIDDEN = re.compile(r"(?:^|/)\.(?!\.?/)")


class XmlDocument:
    """Makes the XML of a picture, as labelImg's ``libs/pascal_voc_io.py`` lays it out.

    Whole edges are written as whole numbers, others so that reading them gives the same float. A field for which a
    sample has no attribute gets labelImg's default; ``<folder>`` is then empty and ``<path>`` left out. Other
    attributes are written as :mod:`boxwright_voc.xml.values` says. ``<owner>`` and ``<part>`` are where the PASCAL VOC
    database of 2007 has them, and ``<occluded>`` where Roboflow has it.

    Args:
        one_based: Writes ``(xmin + 1, ymin + 1, xmax, ymax)``, the PASCAL VOC development kit's pixels; the same for
            parts, and 1 is added to points.
    """

    def __init__(self, one_based: bool = False) -> None:
        self._shift = 1 if one_based else 0
        self._texts: dict[str, str] = {}  # names of classes, and poses
        self._numbers = _Numbers()

    def encoded(self, sample: Sample) -> bytes:
        """The document in UTF-8.

        Raises:
            ValueError: A name holds what XML cannot, or is that of a hidden file, which reading passes over; or an
                attribute is nothing that XML or JSON could hold.
        """
        image, boxes = sample.image, sample.boxes
        if _HIDDEN.search(image.name):
            raise ValueError(f"the picture's name {image.name!r} is that of a hidden file, which reading passes over")
        attributes = dict(sample.attributes)
        extra: list[str] = []
        start = ""
        for key in [key for key in attributes if key == "verified" or key.startswith("@")]:
            value = attributes[key]
            if is_text(value) and (key == "verified" or (key[1:].isidentifier() and key.isascii())):
                start += f" {key.removeprefix('@')}={in_quotes(attributes.pop(key))}"
        folder = _take_text(attributes, "folder", "", extra, "\t")
        path = _take_text(attributes, "path", "", extra, "\t")
        database = _take_text(attributes, "database", DEFAULT_DATABASE, extra, "\t")
        depth = _take_scalar(attributes, "depth", DEFAULT_DEPTH, extra)
        segmented = _take_scalar(attributes, "segmented", 0, extra)
        source = _take_children(attributes, "source", _IN_SOURCE, extra, "\t")
        owner = attribute_lines("owner", attributes.pop("owner"), "\t") if "owner" in attributes else ""
        size = _take_children(attributes, "size", _IN_SIZE, extra, "\t")
        for key, value in attributes.items():
            reserved = key in ("filename", "object", "verified")
            extra.append(json_line(key, value, "\t") if reserved else attribute_lines(key, value, "\t"))
        filename = _plain(os.path.basename(image.name), "the file name")
        if (objects := self._usual_objects(boxes)) is not None:
            each = [objects]
        elif boxes.has_attributes:
            each = [self._object(*box) for box in zip(boxes.labels, boxes.edges, boxes.attributes, strict=True)]
        else:
            each = [self._object(label, edges, None) for label, edges in zip(boxes.labels, boxes.edges, strict=True)]
        document = (
            f"<annotation{start}>\n"
            + (f"\t<folder>{folder}</folder>\n" if folder else "\t<folder/>\n")
            + f"\t<filename>{filename}</filename>\n"
            + (f"\t<path>{path}</path>\n" if path else "")
            + f"\t<source>\n\t\t<database>{database}</database>\n{source}\t</source>\n"
            + owner
            + f"\t<size>\n\t\t<width>{image.width}</width>\n\t\t<height>{image.height}</height>\n"
            + f"\t\t<depth>{depth}</depth>\n{size}\t</size>\n"
            + f"\t<segmented>{segmented}</segmented>\n"
            + "".join(extra)
            + "".join(each)
            + "</annotation>\n"
        )
        return document.encode()

    def _usual_objects(self, boxes: Boxes) -> str | None:
        """The objects of boxes as most are, whose names have been written before; ``None`` for others."""
        if _compiled is None:
            return None
        return cast("str | None", _compiled(boxes.labels, boxes.edges, boxes.attributes, self._texts, self._shift))

    def _object(self, label: str, edges: Edges, attributes: Mapping[str, Any] | None) -> str:
        name = self._texts.get(label) or self._kept(label, _plain(label, "the class"))
        numbers, shift = self._numbers, self._shift
        xmin, ymin, xmax, ymax = edges
        if shift:
            xmin, ymin = xmin + shift, ymin + shift
        pose, truncated, difficult, occluded, frame, rest = DEFAULT_POSE, 0, 0, "", "", ""
        if attributes:
            left = dict(moved(attributes, shift))
            extra: list[str] = []
            number = left.pop("id", None)
            if type(number) is int:
                extra.append(f"\t\t<id>{number}</id>\n")
            elif number is not None:
                left["id"] = number
        if attributes and left:
            if is_text(said := left.get("pose")) and said:
                pose = self._kept(left.pop("pose"), escaped(said))
            else:
                pose = _take_text(left, "pose", DEFAULT_POSE, extra, "\t\t")
            truncated = _take_flag(left, "truncated", extra)
            difficult = _take_flag(left, "difficult", extra)
            if "occluded" in left:
                occluded = f"\t\t<occluded>{_take_flag(left, 'occluded', extra)}</occluded>\n"
            frame = _take_children(left, "bndbox", _IN_BNDBOX, extra, "\t\t")
            for key, places in (("part", _places_of_parts), ("point", _places_of_points)):
                if key in left:
                    value = left.pop(key)
                    # A number that is a text would come back as a number.
                    texts = any(is_length(length) for place in places(value) for length in place.values())
                    extra.append((json_line if texts else attribute_lines)(key, value, "\t\t"))
            for key, value in left.items():
                extra.append(json_line(key, value, "\t\t") if key == "name" else attribute_lines(key, value, "\t\t"))
        if attributes:
            rest = "".join(extra)
        return (
            f"\t<object>\n\t\t<name>{name}</name>\n\t\t<pose>{pose}</pose>\n"
            f"\t\t<truncated>{truncated}</truncated>\n\t\t<difficult>{difficult}</difficult>\n{occluded}"
            f"\t\t<bndbox>\n\t\t\t<xmin>{numbers[xmin]}</xmin>\n\t\t\t<ymin>{numbers[ymin]}</ymin>\n"
            f"\t\t\t<xmax>{numbers[xmax]}</xmax>\n\t\t\t<ymax>{numbers[ymax]}</ymax>\n{frame}\t\t</bndbox>\n"
            f"{rest}\t</object>\n"
        )

    def _kept(self, text: str, escaped: str) -> str:
        if len(self._texts) < _KEPT:
            self._texts[text] = escaped
        return escaped


def _plain(text: str, what: str) -> str:
    content = escaped(text)
    if not is_text(text):
        raise ValueError(f"{what} {text!r} begins or ends with white space, which XML readers take away")
    return content


def _take_text(attributes: dict[str, Any], key: str, default: str, extra: list[str], indent: str) -> str:
    if key not in attributes:
        return default
    value = attributes.pop(key)
    if is_text(value):
        return escaped(value or default)
    extra.append(json_line(key, value, indent))
    return default


def _take_scalar(attributes: dict[str, Any], key: str, default: int, extra: list[str]) -> str:
    if key not in attributes:
        return str(default)
    value = attributes.pop(key)
    if is_scalar(value) and value != "":
        return escaped(str(value))
    extra.append(json_line(key, value, "\t"))
    return str(default)


def _take_flag(attributes: dict[str, Any], key: str, extra: list[str]) -> int:
    value = attributes.pop(key, 0)
    if isinstance(value, int):
        return int(value)
    extra.append(json_line(key, value, "\t\t"))
    return 0


def _take_children(attributes: dict[str, Any], key: str, known: frozenset[str], extra: list[str], indent: str) -> str:
    if key not in attributes:
        return ""
    value = attributes.pop(key)
    lines = child_lines(value, f"{indent}\t", known)
    if lines is None:
        extra.append(json_line(key, value, indent))
        return ""
    return lines


def _places_of_parts(value: Any) -> list[dict[Any, Any]]:
    parts = value if isinstance(value, list) else [value]
    return _places_of_points([part.get("bndbox") for part in parts if isinstance(part, dict)])


def _places_of_points(value: Any) -> list[dict[Any, Any]]:
    return [place for place in (value if isinstance(value, list) else [value]) if isinstance(place, dict)]


class _Numbers(dict[float, str]):
    """Edges as text, kept: most are whole, and looking one up is quicker than writing it."""

    def __missing__(self, edge: float) -> str:
        text = str(int(edge)) if edge == int(edge) else repr(float(edge))
        if len(self) < _KEPT:
            self[edge] = text
        return text
