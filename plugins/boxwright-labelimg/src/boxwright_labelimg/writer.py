"""Writes a folder of pictures with labelImg XML beside them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import quoteattr

from boxwright.errors import DataError
from boxwright.protocols import Output
from boxwright.schemas import Edges, LabelMap, Sample
from boxwright_labelimg.annotation import DEFAULT_DATABASE, DEFAULT_DEPTH, DEFAULT_POSE
from boxwright_labelimg.values import attribute_lines, child_lines, escaped, is_scalar, is_text, json_line

_REMEDY = "rename it in the source, or leave the picture out with --on-error skip"


class LabelImgWriter:
    r"""Writes each picture and, beside it, its XML as labelImg lays it out (``libs/pascal_voc_io.py``).

    The picture's bytes are copied as they are. Whole edges are written as whole numbers, others so that reading them
    gives the same float. A field for which a sample has no attribute gets labelImg's default; ``<folder>`` is then
    empty and ``<path>`` left out. Other attributes are written as :mod:`boxwright_labelimg.values` says.

    Args:
        output: The folder.
        label_map: Not used; the XML holds names.
        pictures: Whether the pictures are copied; without them the samples need none.
        one_based: Writes ``(xmin + 1, ymin + 1, xmax, ymax)``, the PASCAL VOC development kit's pixels.
    """

    def __init__(
        self, output: Output, label_map: LabelMap | None = None, pictures: bool = True, one_based: bool = False
    ) -> None:
        self._output = output
        self._pictures = pictures
        self._shift = 1 if one_based else 0
        self._written: dict[str, str] = {}  # XML file -> picture

    def write(self, sample: Sample) -> None:
        """Adds one picture and its XML.

        Raises:
            DataError: Its picture cannot be read, its XML would replace another's, or a name holds what XML cannot.
            OutputError: The picture's name leads out of the folder.
        """
        name = sample.image.name
        stem, suffix = os.path.splitext(name)
        xml = f"{stem}.xml"
        other = self._written.get(xml)
        if other is not None or suffix.lower() == ".xml":
            raise DataError(
                sample.source or name,
                f"the pictures {other} and {name} would share the annotation {xml}"
                if other is not None
                else f"the picture {name} has the name of an annotation",
                "rename one of them: labelImg keeps one XML for each name before the ending",
            )
        try:
            document = self._document(sample).encode()
        except ValueError as error:
            raise DataError(sample.source or name, str(error), _REMEDY) from None
        picture = sample.image.read() if self._pictures else None
        self._written[xml] = name
        if picture is not None:
            self._put(name, picture)
        self._put(xml, document)

    def close(self) -> None:
        """There is nothing left to finish."""

    def _put(self, name: str, content: bytes) -> None:
        with self._output.open(name) as file:
            file.write(content)

    def _document(self, sample: Sample) -> str:
        image, boxes = sample.image, sample.boxes
        attributes = dict(sample.attributes)
        extra: list[str] = []
        start = ""
        for key in [key for key in attributes if key == "verified" or key.startswith("@")]:
            value = attributes[key]
            if is_text(value) and (key == "verified" or (key[1:].isidentifier() and key.isascii())):
                start += f" {key.removeprefix('@')}={quoteattr(attributes.pop(key))}"
        folder = _take_text(attributes, "folder", "", extra, "\t")
        path = _take_text(attributes, "path", "", extra, "\t")
        database = _take_text(attributes, "database", DEFAULT_DATABASE, extra, "\t")
        depth = _take_scalar(attributes, "depth", DEFAULT_DEPTH, extra)
        segmented = _take_scalar(attributes, "segmented", 0, extra)
        source = _take_children(attributes, "source", frozenset({"database"}), extra, "\t")
        size = _take_children(attributes, "size", frozenset({"width", "height", "depth"}), extra, "\t")
        for key, value in attributes.items():
            reserved = key in ("filename", "object", "verified")
            extra.append(json_line(key, value, "\t") if reserved else attribute_lines(key, value, "\t"))
        filename = _plain(os.path.basename(image.name), "the file name")
        objects = [
            self._object(label, edges, box)
            for label, edges, box in zip(boxes.labels, boxes.edges, boxes.attributes, strict=True)
        ]
        return (
            f"<annotation{start}>\n"
            + (f"\t<folder>{folder}</folder>\n" if folder else "\t<folder/>\n")
            + f"\t<filename>{filename}</filename>\n"
            + (f"\t<path>{path}</path>\n" if path else "")
            + f"\t<source>\n\t\t<database>{database}</database>\n{source}\t</source>\n"
            + f"\t<size>\n\t\t<width>{image.width}</width>\n\t\t<height>{image.height}</height>\n"
            + f"\t\t<depth>{depth}</depth>\n{size}\t</size>\n"
            + f"\t<segmented>{segmented}</segmented>\n"
            + "".join(extra)
            + "".join(objects)
            + "</annotation>\n"
        )

    def _object(self, label: str, edges: Edges, attributes: Mapping[str, Any]) -> str:
        name = _plain(label, "the class")
        xmin, ymin, xmax, ymax = edges
        shift = self._shift
        numbers = [_number(edge) for edge in (xmin + shift, ymin + shift, xmax, ymax)]
        pose, truncated, difficult, frame, rest = DEFAULT_POSE, 0, 0, "", ""
        if attributes:
            left = dict(attributes)
            extra: list[str] = []
            pose = _take_text(left, "pose", DEFAULT_POSE, extra, "\t\t")
            truncated = _take_flag(left, "truncated", extra)
            difficult = _take_flag(left, "difficult", extra)
            frame = _take_children(left, "bndbox", frozenset({"xmin", "ymin", "xmax", "ymax"}), extra, "\t\t")
            for key, value in left.items():
                extra.append(json_line(key, value, "\t\t") if key == "name" else attribute_lines(key, value, "\t\t"))
            rest = "".join(extra)
        return (
            f"\t<object>\n\t\t<name>{name}</name>\n\t\t<pose>{pose}</pose>\n"
            f"\t\t<truncated>{truncated}</truncated>\n\t\t<difficult>{difficult}</difficult>\n\t\t<bndbox>\n"
            f"\t\t\t<xmin>{numbers[0]}</xmin>\n\t\t\t<ymin>{numbers[1]}</ymin>\n"
            f"\t\t\t<xmax>{numbers[2]}</xmax>\n\t\t\t<ymax>{numbers[3]}</ymax>\n{frame}\t\t</bndbox>\n"
            f"{rest}\t</object>\n"
        )


def _plain(text: str, what: str) -> str:
    content = escaped(text)
    if not is_text(text):
        raise ValueError(f"{what} {text!r} begins or ends with white space, which XML readers take away")
    return content


def _take_text(attributes: dict[str, Any], key: str, default: str, extra: list[str], indent: str) -> str:
    value = attributes.pop(key, default)
    if is_text(value):
        return escaped(value or default)
    extra.append(json_line(key, value, indent))
    return default


def _take_scalar(attributes: dict[str, Any], key: str, default: int, extra: list[str]) -> str:
    value = attributes.pop(key, default)
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


def _number(edge: float) -> str:
    return str(int(edge)) if edge == int(edge) else repr(float(edge))
