"""Reads exactly the layout that labelImg writes, by one regular expression; anything else is left to :mod:`.tree`.

labelImg writes its elements always in one order (``libs/pascal_voc_io.py``), so that most files need no XML parser,
which would take ten times as long. Every character of the file has to be part of the layout, and texts may hold
nothing that means something in XML (``&``, ``<``, ``]]>``, control characters, line ends), so that an answer from here
is the one that a parser would give.
"""

from __future__ import annotations

import re
from typing import Any

from boxwright_labelimg.annotation import DEFAULT_DATABASE, DEFAULT_POSE, SPACE, Annotation

_GAP = r"[ \t\r\n]*"
# A text that starts or ends with a space needs stripping, so it is not for here.
_TEXT = r"(?! )([^<>&\]\x00-\x1f\ufffe\uffff]*)(?<! )"
_NAME = r"(?! )([^<>&\]\x00-\x1f\ufffe\uffff]+)(?<! )"
_EDGE = r"(-?[0-9]{1,12}(?:\.[0-9]{1,17})?)"


def _element(tag: str, content: str) -> str:
    return f"<{tag}>{content}</{tag}>{_GAP}"


def _group(tag: str, *content: str) -> str:
    return f"<{tag}>{_GAP}{''.join(content)}</{tag}>{_GAP}"


# A value that is the default gives no group, so that "nothing but defaults" shows without looking at each.
_HEAD = re.compile(
    f'<annotation(?: verified="([a-zA-Z0-9]*)")?>{_GAP}'
    + f"(?:<folder/>{_GAP}|{_element('folder', _TEXT)})"
    + _element("filename", _NAME)
    + f"(?:{_element('path', _TEXT)})?"
    + _group("source", _element("database", f"(?:{DEFAULT_DATABASE}|{_TEXT})"))
    + _group(
        "size",
        _element("width", "([0-9]{1,9})"),
        _element("height", "([0-9]{1,9})"),
        _element("depth", "(?:3|(0|[1-9][0-9]{0,8}))"),
    )
    + _element("segmented", "(?:0|([1-9][0-9]{0,8}))")
)
_OBJECT = re.compile(
    _group(
        "object",
        _element("name", _NAME),
        _element("pose", f"(?:{DEFAULT_POSE}|{_TEXT})"),
        _element("truncated", "(?:0|([1-9][0-9]{0,8}))"),
        _element("difficult", "(?:0|([1-9][0-9]{0,8}))"),
        _group("bndbox", *(_element(edge, _EDGE) for edge in ("xmin", "ymin", "xmax", "ymax"))),
    )
)
_END = "</annotation>"
_STEP = 1 + _OBJECT.groups


_LABELS = re.compile(rb"<name>([^<&]*)</name>")


def quick_labels(data: bytes) -> list[str] | None:
    """The labels of a file's objects, or ``None`` where only reading it whole can tell."""
    if not data.startswith(b"<annotation") or b"<!" in data:
        return None
    found = _LABELS.findall(data)
    # One name for each object, and none elsewhere.
    if not len(found) == data.count(b"<object>") == data.count(b"<name"):
        return None
    try:
        return [name.strip().decode() for name in found]
    except UnicodeDecodeError:
        return None


def parse_layout(data: bytes) -> Annotation | None:
    """The annotation, or ``None`` where the file is not exactly in labelImg's layout (or not in UTF-8)."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    head = _HEAD.match(text)
    if head is None:
        return None
    # Splitting gives what stands between the objects, and the columns of their fields: all in one pass.
    parts: list[Any] = _OBJECT.split(text[head.end() :])
    if parts[-1].rstrip(SPACE) != _END or any(parts[:-1:_STEP]):
        return None
    verified, folder, filename, path, database, width, height, depth, segmented = head.groups()
    attributes: dict[str, Any] = {}
    if folder:
        attributes["folder"] = folder
    if path:
        attributes["path"] = path
    if database:
        attributes["database"] = database
    if depth is not None:
        attributes["depth"] = int(depth)
    if segmented is not None:
        attributes["segmented"] = int(segmented)
    if verified is not None:
        attributes["verified"] = verified
    labels = parts[1::_STEP]
    columns = [map(float, parts[first::_STEP]) for first in (5, 6, 7, 8)]
    box_attributes = None
    if parts.count(None) != 3 * len(labels):
        box_attributes = [
            _attributes(*fields) for fields in zip(parts[2::_STEP], parts[3::_STEP], parts[4::_STEP], strict=True)
        ]
    edges = list(zip(*columns, strict=True))
    return Annotation(filename, int(width), int(height), attributes, labels, edges, box_attributes)


def _attributes(pose: str | None, truncated: str | None, difficult: str | None) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    if pose:
        attributes["pose"] = pose
    if truncated is not None:
        attributes["truncated"] = int(truncated)
    if difficult is not None:
        attributes["difficult"] = int(difficult)
    return attributes
