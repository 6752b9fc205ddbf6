"""Reads any Pascal VOC XML, with a parser that rejects entities.

The elements are those of the PASCAL VOC development kit (http://host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf,
section "Annotation file format") and of labelImg's ``libs/pascal_voc_io.py``. Other elements become attributes (see
:mod:`.values`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from boxwright import Coordinates, DataError
from boxwright.datasets import Polygon, Rectangle, RefusedShapeError, Shape, ShapeError, ShapeRule
from boxwright_voc.xml.annotation import DEFAULT_DATABASE, DEFAULT_DEPTH, DEFAULT_POSE, Annotation
from boxwright_voc.xml.values import NUMBER, SPACE, children, each, lengths, scalar, with_lengths

_COORDINATES = ("xmin", "ymin", "xmax", "ymax")
_ROTATED = ("cx", "cy", "w", "h", "angle")
_FLAGS = ("truncated", "difficult", "occluded")
_FLAG_WORDS = {"true": 1, "yes": 1, "false": 0, "no": 0, "unspecified": 0, "": 0}
_DECLARED = re.compile(rb"""<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]*)["'][^>]*\?>""")
_MULTIBYTE = {
    **{name: name for name in ("big5", "euc-jp", "gb18030")},
    **dict.fromkeys(("cp936", "gb2312", "gbk"), "gb18030"),
    **dict.fromkeys(("cp932", "shift-jis", "shift_jis", "windows-31j"), "cp932"),
    **dict.fromkeys(("cp949", "euc-kr", "ks_c_5601-1987"), "cp949"),
}
"""Encodings that expat does not read, as their supersets in Python, which Windows writes under the same names."""
_DECLARATION = 200
"""The largest number of bytes of a declaration whose encoding is looked at."""
_SKIP = "or leave it out with --on-error skip"


def parse_tree(data: bytes, file: str, rule: ShapeRule | None = None) -> Annotation:
    """Returns the content of an annotation.

    Args:
        data: The file's content, in any encoding that expat supports (UTF-8, UTF-16, ISO-8859-1, single-byte code
            pages).
        file: Its location, for messages.
        rule: What to do with objects that have ``<robndbox>`` or ``<polygon>`` instead of ``<bndbox>``; by default, the
            box around them is read.

    Raises:
        DataError: It is not well-formed XML, has a document type or entities, is not an annotation, or a box is
            incomplete.
    """
    root = _root(data, file)
    if root.tag != "annotation":
        raise DataError(
            file,
            f"it is not an annotation: the root element is <{root.tag}>, not <annotation>",
            f"move it out of the folder, {_SKIP}",
        )
    return _TreeReader(file, rule or ShapeRule()).annotation(root)


def _root(data: bytes, file: str) -> Element:
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    if not data.strip():
        raise DataError(file, "the file is empty", f"annotate the image again, {_SKIP}")
    declared = _DECLARED.match(data[:_DECLARATION])
    if declared and (encoding := _MULTIBYTE.get(declared[1].decode().lower())):
        try:
            data = data[declared.end() :].decode(encoding).encode()
        except UnicodeDecodeError:
            problem = f"it is not {declared[1].decode()}, as its first line says"
            raise DataError(file, problem, f"save it as UTF-8, {_SKIP}") from None
    try:
        root: Element = fromstring(data, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    except DefusedXmlException:
        raise DataError(
            file,
            "it has a document type or entities, which are not allowed because they can be used for attacks",
            f"remove the <!DOCTYPE ...> part, {_SKIP}",
        ) from None
    except ParseError as error:
        line, column = error.position
        remedy = "save it as UTF-8" if "encoding" in str(error) or not _is_utf8(data) else "repair the file"
        raise DataError(
            file,
            f"it is not well-formed XML: {str(error).partition(':')[0]} at column {column + 1}",
            f"{remedy}, annotate the image again, {_SKIP}",
            f"line {line}",
        ) from None
    except (ValueError, LookupError) as error:  # an encoding that expat does not support
        raise DataError(file, f"its encoding cannot be read: {error}", "save the file as UTF-8") from None
    return root


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


class _TreeReader:
    """Converts the elements of one file to an :class:`Annotation`."""

    def __init__(self, file: str, rule: ShapeRule) -> None:
        self.file = file
        self.rule = rule

    def error(self, problem: str, remedy: str, place: str = "") -> DataError:
        return DataError(self.file, problem, f"{remedy}, {_SKIP}", place)

    def annotation(self, root: Element) -> Annotation:
        attributes = self._rest(root, {"filename", "folder", "path", "source", "size", "segmented", "object"})
        if "@verified" in attributes:
            attributes["verified"] = attributes.pop("@verified")
        for tag in ("folder", "path"):
            if text := self._text(root, tag):
                attributes[tag] = text
        if segmented := self._value(root, "segmented", default=0):
            attributes["segmented"] = segmented
        self._source(root, attributes)
        width, height = self._size(root, attributes)
        labels: list[str] = []
        coordinates: list[Coordinates] = []
        box_attributes: list[Mapping[str, Any]] = []
        for position, element in enumerate(root.findall("object"), start=1):
            label, box = self._object(element, position, box_attributes)
            if box is not None:
                labels.append(label)
                coordinates.append(box)
        filename = self._text(root, "filename")
        return Annotation(
            filename, width, height, attributes, labels, coordinates, box_attributes if any(box_attributes) else None
        )

    def _source(self, root: Element, attributes: dict[str, Any]) -> None:
        source = self._only(root, "source")
        if source is None:
            return
        database = self._text(source, "database")
        if database and database != DEFAULT_DATABASE:
            attributes["database"] = database
        if rest := self._rest(source, {"database"}):
            attributes["source"] = rest

    def _size(self, root: Element, attributes: dict[str, Any]) -> tuple[int, int]:
        size = self._only(root, "size")
        if size is None:
            return 0, 0
        depth = self._value(size, "depth", default=DEFAULT_DEPTH)
        if depth != DEFAULT_DEPTH:
            attributes["depth"] = depth
        if rest := self._rest(size, {"width", "height", "depth"}):
            attributes["size"] = rest
        return self._length(size, "width"), self._length(size, "height")

    def _length(self, size: Element, tag: str) -> int:
        text = self._text(size, tag)
        if not text:
            return 0
        value = float(text) if NUMBER.fullmatch(text) else -1.0
        if not 0 <= value < 1e9 or value % 1:
            raise self.error(f"<{tag}> is {text!r}, not a number of pixels", "correct <size>")
        return int(value)

    def _object(
        self, element: Element, position: int, box_attributes: list[Mapping[str, Any]]
    ) -> tuple[str, Coordinates | None]:
        """Returns the label and the box of an object, ``None`` if its shape is left out, and adds its attributes."""
        place = f"object {position}"
        label = self._text(element, "name", place)
        if not label:
            raise self.error("the object has no <name>", "add the name of its class", place)
        place = f"{place} ({label})"
        attributes = self._rest(element, {"name", "pose", *_FLAGS, "bndbox"}, place)
        pose = self._text(element, "pose", place)
        if pose and pose != DEFAULT_POSE:
            attributes["pose"] = pose
        for tag in _FLAGS:
            if flag := self._flag(element, tag, place):
                attributes[tag] = flag
        if element.find("part") is not None:
            attributes["part"] = each(attributes["part"], with_lengths)
        if element.find("point") is not None:
            attributes["point"] = each(attributes["point"], lengths)
        bndbox = self._only(element, "bndbox", place)
        if bndbox is None:
            return label, self._shape(element, place, attributes, box_attributes)
        xmin, ymin, xmax, ymax = (self._coordinate(bndbox, tag, place) for tag in _COORDINATES)
        if rest := self._rest(bndbox, set(_COORDINATES), place):
            attributes["bndbox"] = rest
        box_attributes.append(attributes)
        return label, (xmin, ymin, xmax, ymax)

    def _shape(
        self, element: Element, place: str, attributes: dict[str, Any], box_attributes: list[Mapping[str, Any]]
    ) -> Coordinates | None:
        """Returns the box around a ``<robndbox>`` or ``<polygon>``."""
        shape: Shape
        rotated, polygon = self._only(element, "robndbox", place), self._only(element, "polygon", place)
        if rotated is not None:
            # As https://github.com/cgvict/roLabelImg writes it: the angle is in radians, clockwise.
            cx, cy, width, height, angle = (self._coordinate(rotated, tag, place) for tag in _ROTATED)
            edges = (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)
            shape = Rectangle(*edges, round(math.degrees(angle), 9))
        elif polygon is not None:
            points = polygon.findall("pt") or polygon.findall("point")
            numbers = [self._coordinate(point, axis, place) for point in points for axis in "xy"]
            while not points and polygon.find(f"x{len(numbers) // 2 + 1}") is not None:
                number = len(numbers) // 2 + 1
                numbers += [self._coordinate(polygon, f"{axis}{number}", place) for axis in "xy"]
            shape = Polygon.of(zip(numbers[::2], numbers[1::2], strict=True))
        else:
            raise self.error("the object has no <bndbox>", "draw its box again", place)
        try:
            boxed = self.rule(shape)
        except RefusedShapeError as error:
            remedy = "read the box around it (?shapes=box), leave such shapes out (?shapes=skip)"
            raise self.error(str(error), remedy, place) from None
        except ShapeError as error:
            raise self.error(f"<polygon>: {error}", "draw it again", place) from None
        if boxed is None:
            return None
        rest = {name: value for name, value in attributes.items() if name not in ("robndbox", "polygon")}
        box_attributes.append(rest | boxed[1])
        return boxed[0]

    def _coordinate(self, bndbox: Element, tag: str, place: str) -> float:
        text = self._text(bndbox, tag, place)
        if not text:
            raise self.error(f"the box has no <{tag}>", "draw the box again", place)
        value = float(text) if NUMBER.fullmatch(text) else math.nan
        if not math.isfinite(value):
            raise self.error(f"<{tag}> is {text!r}, not a finite number", "draw the box again", place)
        return value

    def _flag(self, element: Element, tag: str, place: str) -> int:
        text = self._text(element, tag, place)
        if text.lower() in _FLAG_WORDS:
            return _FLAG_WORDS[text.lower()]
        value = float(text) if NUMBER.fullmatch(text) else math.nan
        if not math.isfinite(value) or value % 1:
            raise self.error(f"<{tag}> is {text!r}, not 0 or 1", f"set <{tag}> to 0 or 1", place)
        return int(value)

    def _value(self, parent: Element, tag: str, default: object) -> Any:
        text = self._text(parent, tag)
        return scalar(text) if text else default

    def _only(self, parent: Element, tag: str, place: str = "") -> Element | None:
        found = parent.findall(tag)
        if len(found) > 1:
            raise self.error(f"duplicate <{tag}> in <{parent.tag}>: {len(found)} times", "keep one of them", place)
        return found[0] if found else None

    def _text(self, parent: Element, tag: str, place: str = "") -> str:
        element = self._only(parent, tag, place)
        if element is None:
            return ""
        if len(element):
            raise self.error(f"<{tag}> contains elements instead of a text", "correct it", place)
        return (element.text or "").strip(SPACE)

    def _rest(self, element: Element, known: set[str], place: str = "") -> dict[str, Any]:
        """Returns the content of an element besides its ``known`` children."""
        try:
            return children(element, known=known)
        except ValueError as error:
            raise self.error(str(error), "repair the file", place) from None
