"""Writes an annotation as Pascal VOC XML, in labelImg's layout, which is close to the development kit's."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from boxwright import Coordinates, Sample
from boxwright_voc.xml.annotation import DEFAULT_DATABASE, DEFAULT_DEPTH, DEFAULT_POSE
from boxwright_voc.xml.values import (
    attribute_lines,
    child_lines,
    escaped,
    in_quotes,
    is_length,
    is_scalar,
    is_text,
    json_line,
    shift_attributes,
)

_CACHED = 1 << 14
_IN_SOURCE = frozenset({"database"})
_IN_SIZE = frozenset({"width", "height", "depth"})
_IN_BNDBOX = frozenset({"xmin", "ymin", "xmax", "ymax"})
_HIDDEN = re.compile(r"(?:^|/)\.(?!\.?/)")


class XmlDocument:
    """Writes the XML of one image after another, in the layout of labelImg's ``libs/pascal_voc_io.py``.

    Whole coordinates are written as whole numbers, others so that reading restores the same float. A field without an
    attribute gets labelImg's default; ``<folder>`` is then empty and ``<path>`` left out. :mod:`.values` describes how
    other attributes are written. ``<owner>`` and ``<part>`` are placed as in the PASCAL VOC database of 2007, and
    ``<occluded>`` as in Roboflow's files.

    Args:
        one_based: Whether to write ``(xmin + 1, ymin + 1, xmax, ymax)``, the PASCAL VOC development kit's pixels; the
            same for parts, and 1 is added to points.
    """

    def __init__(self, one_based: bool = False) -> None:
        self._shift = 1 if one_based else 0
        self._texts: dict[str, str] = {}  # labels and poses, each with its escaped text
        self._numbers = _Numbers()

    def encoded(self, sample: Sample) -> bytes:
        """Returns the document in UTF-8.

        Raises:
            ValueError: XML cannot represent a name, or it is that of a hidden file, which reading ignores; or neither
                XML nor JSON can represent an attribute.
        """
        image, boxes = sample.image, sample.boxes
        if _HIDDEN.search(image.name):
            raise ValueError(f"the image's name {image.name!r} is that of a hidden file, which reading ignores")
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
        if boxes.has_attributes:
            objects = [
                self._object(*box) for box in zip(boxes.labels, boxes.coordinates, boxes.attributes, strict=True)
            ]
        else:
            objects = [
                self._object(label, box, None) for label, box in zip(boxes.labels, boxes.coordinates, strict=True)
            ]
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
            + "".join(objects)
            + "</annotation>\n"
        )
        return document.encode()

    def _object(self, label: str, coordinates: Coordinates, attributes: Mapping[str, Any] | None) -> str:
        name = self._texts.get(label) or self._cached(label, _plain(label, "the class"))
        numbers, shift = self._numbers, self._shift
        xmin, ymin, xmax, ymax = coordinates
        if shift:
            xmin, ymin = xmin + shift, ymin + shift
        pose, truncated, difficult, occluded, bndbox, rest = DEFAULT_POSE, 0, 0, "", "", ""
        if attributes:
            left = dict(shift_attributes(attributes, shift))
            extra: list[str] = []
            number = left.pop("id", None)
            if type(number) is int:
                extra.append(f"\t\t<id>{number}</id>\n")
            elif number is not None:
                left["id"] = number
        if attributes and left:
            if is_text(text := left.get("pose")) and text:
                pose = self._cached(left.pop("pose"), escaped(text))
            else:
                pose = _take_text(left, "pose", DEFAULT_POSE, extra, "\t\t")
            truncated = _take_flag(left, "truncated", extra)
            difficult = _take_flag(left, "difficult", extra)
            if "occluded" in left:
                occluded = f"\t\t<occluded>{_take_flag(left, 'occluded', extra)}</occluded>\n"
            bndbox = _take_children(left, "bndbox", _IN_BNDBOX, extra, "\t\t")
            for key, locations in (("part", _locations_of_parts), ("point", _locations_of_points)):
                if key in left:
                    value = left.pop(key)
                    # A text that is a number would be read as a number.
                    texts = any(is_length(length) for location in locations(value) for length in location.values())
                    extra.append((json_line if texts else attribute_lines)(key, value, "\t\t"))
            for key, value in left.items():
                extra.append(json_line(key, value, "\t\t") if key == "name" else attribute_lines(key, value, "\t\t"))
        if attributes:
            rest = "".join(extra)
        return (
            f"\t<object>\n\t\t<name>{name}</name>\n\t\t<pose>{pose}</pose>\n"
            f"\t\t<truncated>{truncated}</truncated>\n\t\t<difficult>{difficult}</difficult>\n{occluded}"
            f"\t\t<bndbox>\n\t\t\t<xmin>{numbers[xmin]}</xmin>\n\t\t\t<ymin>{numbers[ymin]}</ymin>\n"
            f"\t\t\t<xmax>{numbers[xmax]}</xmax>\n\t\t\t<ymax>{numbers[ymax]}</ymax>\n{bndbox}\t\t</bndbox>\n"
            f"{rest}\t</object>\n"
        )

    def _cached(self, text: str, escaped: str) -> str:
        if len(self._texts) < _CACHED:
            self._texts[text] = escaped
        return escaped


def _plain(text: str, what: str) -> str:
    content = escaped(text)
    if not is_text(text):
        raise ValueError(f"{what} {text!r} begins or ends with white space, which XML readers remove")
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


def _locations_of_parts(value: Any) -> list[dict[Any, Any]]:
    parts = value if isinstance(value, list) else [value]
    return _locations_of_points([part.get("bndbox") for part in parts if isinstance(part, dict)])


def _locations_of_points(value: Any) -> list[dict[Any, Any]]:
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict)]


class _Numbers(dict[float, str]):
    """Coordinates as text, cached: most are whole numbers, and a lookup is faster than formatting."""

    def __missing__(self, coordinate: float) -> str:
        text = str(int(coordinate)) if coordinate == int(coordinate) else repr(float(coordinate))
        if len(self) < _CACHED:
            self[coordinate] = text
        return text
