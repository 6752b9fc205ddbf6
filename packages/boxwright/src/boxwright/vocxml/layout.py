"""Reads exactly the layouts that common programs write, by regular expressions; anything else is left to :mod:`.tree`.

A program writes its elements always in one order, so that most files need no XML parser, which would take ten times as
long. Known are labelImg (``libs/pascal_voc_io.py``), the PASCAL VOC database as it was written until 2008 and from 2009
on, and Roboflow. Every character of the file has to be part of the layout, and texts may hold nothing that means
something in XML (``&``, ``<``, ``]]>``, control characters, line ends), so that an answer from here is the one that a
parser would give.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from boxwright.schemas import NO_ATTRIBUTES, Edges
from boxwright.vocxml.annotation import DEFAULT_DATABASE, DEFAULT_POSE, Annotation
from boxwright.vocxml.scalars import number, scalar

_GAP = r"[ \t\r\n]*"
_EDGES: Final = ("xmin", "ymin", "xmax", "ymax")
_OPENING, _CLOSING = "<object>", "</object>"
_KEPT: Final = 1 << 14
# A text that starts or ends with a space needs stripping, so it is not for here.
_PLAIN = r"(?! )[^<>&\]\x00-\x1f\ufffe\uffff]*(?<! )"
_NAMED = r"(?! )[^<>&\]\x00-\x1f\ufffe\uffff]+(?<! )"
_EDGE = r"-?[0-9]{1,12}(?:\.[0-9]{1,17})?"


def _element(tag: str, content: str) -> str:
    return f"<{tag}>{content}</{tag}>{_GAP}"


def _group(tag: str, *content: str) -> str:
    return f"<{tag}>{_GAP}{''.join(content)}</{tag}>{_GAP}"


def _maybe(content: str) -> str:
    return f"(?:{content})?"


def _flag(tag: str) -> str:
    # A value that is the default gives no group, so that "nothing but defaults" shows without looking at each.
    return _element(tag, f"(?:0|(?P<{tag}>[1-9][0-9]{{0,8}}))")


def _bndbox(*edges: str) -> str:
    return _group("bndbox", *(_element(edge, f"(?P<{edge}>{_EDGE})") for edge in edges))


_START = f'<annotation(?: verified="(?P<verified>[a-zA-Z0-9]+)")?>{_GAP}'
_FOLDER = f"(?:<folder/>{_GAP}|{_element('folder', f'(?P<folder>{_PLAIN})')})"
_FILENAME = _element("filename", f"(?P<filename>{_NAMED})")
_PATH = _element("path", f"(?P<path>{_PLAIN})")
_DATABASE = _element("database", f"(?:{DEFAULT_DATABASE}|(?P<database>{_PLAIN}))")
_ANNOTATION = _element("annotation", f"(?P<source_annotation>{_NAMED})")
_IMAGE = _element("image", f"(?P<source_image>{_NAMED})")
_FLICKRID = _element("flickrid", f"(?P<source_flickrid>{_NAMED})")
_OWNER = _group(
    "owner", _element("flickrid", f"(?P<owner_flickrid>{_NAMED})"), _element("name", f"(?P<owner_name>{_NAMED})")
)
_WIDTH = _element("width", "(?P<width>[0-9]{1,9})")
_HEIGHT = _element("height", "(?P<height>[0-9]{1,9})")
_DEPTH = _element("depth", "(?:3|(?P<depth>0|[1-9][0-9]{0,8}))")
_SEGMENTED = _flag("segmented")
_END = f"</annotation>{_GAP}"

_NAME = _element("name", f"(?P<name>{_NAMED})")
_POSE = _element("pose", f"(?:{DEFAULT_POSE}|(?P<pose>{_NAMED})|)")
_TRUNCATED = _flag("truncated")
_DIFFICULT = _flag("difficult")
_OCCLUDED = _flag("occluded")


def _part(opening: str) -> str:
    """A part of a person; ``opening`` is how its name and edges are grouped."""
    edges = [_element(edge, f"{opening}{_EDGE})") for edge in _EDGES]
    return _group("part", _element("name", f"{opening}{_NAMED})"), _group("bndbox", *edges))


_PARTS = _maybe(f"(?P<part>(?:{_part('(?:')})+)")
_PART = _part("(")
_ACTION_NAMES = (
    *("jumping", "other", "phoning", "playinginstrument", "reading", "ridingbike", "ridinghorse", "running"),
    *("takingphoto", "usingcomputer", "walking"),
)
_ACTIONS = _maybe(f"(?P<actions>{_group('actions', *(_maybe(_element(name, '[01]')) for name in _ACTION_NAMES))})")
_ACTION = "<([a-z]+)>([01])<"
_POINT = _maybe(f"(?P<point>{_group('point', _element('x', _EDGE), _element('y', _EDGE))})")
_AXIS = f"<([xy])>({_EDGE})<"


def _parts(text: str) -> Any:
    parts = [
        {"name": scalar(name), "bndbox": dict(zip(_EDGES, map(number, values), strict=True))}
        for name, *values in re.findall(_PART, text)
    ]
    return parts if len(parts) > 1 else parts[0]


def _actions(text: str) -> dict[str, int] | str:
    return {name: int(value) for name, value in re.findall(_ACTION, text)} or ""


def _point(text: str) -> dict[str, int | float]:
    return {axis: number(value) for axis, value in re.findall(_AXIS, text)}


_BOX_FIELDS: dict[str, Callable[[str], Any]] = {
    "pose": str,
    "truncated": int,
    "difficult": int,
    "occluded": int,
    "part": _parts,
    "actions": _actions,
    "point": _point,
}


_Boxes = tuple[list[str], list[Edges], list[Mapping[str, Any]] | None]


class _Floats(dict[str, float]):
    """Numbers by their text, kept: a dataset's edges are few different numbers, and looking one up is quicker."""

    def __missing__(self, text: str) -> float:
        number = float(text)
        if len(self) < _KEPT:
            self[text] = number
        return number


class _Fields(NamedTuple):
    """What a piece of a file says of the picture: numbers of ``<size>``, and attributes, some of which are dicts."""

    size: dict[str, int]
    attributes: dict[str, Any]
    nested: dict[str, dict[str, Any]]


class _Layout:
    """The order in which a program writes its elements.

    The pieces of a file between its names and its edges are few different texts in a whole dataset: what stands between
    the file name and the first object, what stands in an object around its edges, and what follows the last one. Each
    is taken apart once; from then on it is known.

    Args:
        begin: What stands up to the file name, and what else differs from file to file.
        middle: What stands between that and the objects.
        before: What stands in an object before its ``<bndbox>``.
        after: What stands in an object behind it.
        end: What stands behind the objects.
        edges: The order of the edges in a ``<bndbox>``.
    """

    def __init__(
        self,
        begin: str,
        middle: str,
        before: tuple[str, ...],
        after: tuple[str, ...] = (),
        end: str = "",
        edges: tuple[str, ...] = _EDGES,
    ) -> None:
        box = _group("object", *before, _bndbox(*edges), *after)
        self._patterns = (_START + begin, middle, box, _GAP + end + _END)
        self._order = edges
        self._compiled = False

    def _compile(self) -> None:
        # At the first use: most runs see one layout, and each takes milliseconds.
        self._begin, self._middle, self._object, self._end = map(re.compile, self._patterns)
        captured = (_element(edge, f"({_EDGE})") for edge in self._order)
        self._bndbox = re.compile(f"<bndbox>{_GAP}{''.join(captured)}</bndbox>")
        self._some_box = f"<bndbox>{''.join(f'<{edge}>0</{edge}>' for edge in self._order)}</bndbox>"
        self._places = tuple(self._order.index(edge) for edge in _EDGES)
        self._box_fields = [(name, read) for name, read in _BOX_FIELDS.items() if name in self._object.groupindex]
        self._floats = _Floats()
        self._known_fields: dict[tuple[re.Pattern[str], str], _Fields] = {}
        self._known_objects: dict[tuple[str, str], tuple[str, Mapping[str, Any]]] = {}
        self._compiled = True

    def parse(self, text: str) -> Annotation | None:
        """The annotation, or ``None`` where the text is not exactly in this layout."""
        if not self._compiled:
            self._compile()
        begin = self._begin.match(text)
        if begin is None:
            return None
        content, closing, end = text[begin.end() :].rpartition(_CLOSING)
        if closing:
            middle, *objects = content.split(_OPENING)
            if not objects:
                return None
            objects[-1] += closing
        else:
            found = self._middle.match(end)
            objects, middle, end = [], found[0] if found else end, end[found.end() :] if found else ""
        boxes = self._boxes(content, objects)
        first, last = self._fields(self._middle, middle), self._fields(self._end, end)
        if boxes is None or first is None or last is None:
            return None
        attributes: dict[str, Any] = {name: value for name, value in begin.groupdict().items() if value}
        filename = attributes.pop("filename")
        for piece in (first, last):
            attributes.update(piece.attributes)
            for name, inside in piece.nested.items():
                attributes[name] = dict(inside)
        size = first.size or last.size
        return Annotation(filename, size["width"], size["height"], attributes, *boxes)

    def _fields(self, pattern: re.Pattern[str], piece: str) -> _Fields | None:
        """What a piece says of the picture, or ``None`` where it is not in this layout."""
        known = self._known_fields.get((pattern, piece))
        if known is not None:
            return known
        match = pattern.fullmatch(piece)
        if match is None:
            return None
        given = {name: value for name, value in match.groupdict().items() if value}
        fields = _Fields({name: int(given.pop(name)) for name in ("width", "height") if name in given}, {}, {})
        for name, value in given.items():
            owner, _, inner = name.partition("_")
            if inner:
                fields.nested.setdefault(owner, {})[inner] = scalar(value)
            else:
                fields.attributes[name] = int(value) if name in ("depth", "segmented") else value
        if len(self._known_fields) < _KEPT:
            self._known_fields[pattern, piece] = fields
        return fields

    def _boxes(self, content: str, objects: list[str]) -> _Boxes | None:
        """Labels, edges and attributes; ``None`` where an object is not in this layout."""
        rows = self._bndbox.findall(content)
        if not len(rows) == len(objects) == content.count("<bndbox>"):
            return self._boxes_with_parts(objects)
        known, labels, attributes = self._known_objects, [], []
        for piece in objects:
            start = piece.find("<bndbox>")
            stop = piece.find("</bndbox>", start)
            around = (piece[:start], piece[stop + 9 :])
            found = known.get(around) or self._learned(around)
            if found is None or start < 0:
                return None
            labels.append(found[0])
            attributes.append(found[1])
        floats = self._floats
        if self._order is _EDGES:
            edges = [(floats[a], floats[b], floats[c], floats[d]) for a, b, c, d in rows]
        else:
            a, b, c, d = self._places
            edges = [(floats[row[a]], floats[row[b]], floats[row[c]], floats[row[d]]) for row in rows]
        return labels, edges, attributes if any(attributes) else None

    def _learned(self, around: tuple[str, str]) -> tuple[str, Mapping[str, Any]] | None:
        """The label and the attributes that stand around an object's edges."""
        match = self._object.fullmatch(f"{_OPENING}{around[0]}{self._some_box}{around[1]}")
        if match is None:
            return None
        learned = (match["name"], self._box_attributes(match))
        if len(self._known_objects) < _KEPT:
            self._known_objects[around] = learned
        return learned

    def _boxes_with_parts(self, objects: list[str]) -> _Boxes | None:
        """The same where there are other ``<bndbox>`` than those of the objects."""
        matches = [self._object.fullmatch(_OPENING + piece) for piece in objects]
        found = [match for match in matches if match is not None]
        if len(found) != len(objects):
            return None
        edges: list[Edges] = [tuple(float(match[edge]) for edge in _EDGES) for match in found]  # type: ignore[misc]
        return [match["name"] for match in found], edges, [self._box_attributes(match) for match in found]

    def _box_attributes(self, match: re.Match[str]) -> Mapping[str, Any]:
        given = {name: read(match[name]) for name, read in self._box_fields if match[name] is not None}
        return MappingProxyType(given) if given else NO_ATTRIBUTES


_SIZE = _group("size", _WIDTH, _HEIGHT, _DEPTH)
_SOURCE = _group("source", _DATABASE, _maybe(_ANNOTATION), _maybe(_IMAGE), _maybe(_FLICKRID))
_NAMES_FIRST = _FOLDER + _FILENAME + _maybe(_PATH)
_LABELIMG = _group("source", _DATABASE) + _SIZE + _SEGMENTED
_VOC = _SOURCE + _maybe(_OWNER) + _SIZE + _SEGMENTED

_LAYOUTS = (
    # labelImg
    _Layout(_NAMES_FIRST, _LABELIMG, (_NAME, _POSE, _TRUNCATED, _DIFFICULT)),
    # VOC 2007, and what boxwright writes
    _Layout(_NAMES_FIRST, _VOC, (_NAME, _POSE, _TRUNCATED, _DIFFICULT, _maybe(_OCCLUDED)), (_PARTS,)),
    # VOC 2008
    _Layout(_NAMES_FIRST, _VOC, (_NAME, _POSE, _TRUNCATED, _OCCLUDED), (_DIFFICULT, _PARTS)),
    # VOC 2009 to 2012: by the alphabet
    _Layout(
        _FILENAME + _FOLDER,
        "",
        (_NAME, _ACTIONS),
        (_DIFFICULT, _maybe(_OCCLUDED), _POSE, _POINT, _maybe(_TRUNCATED)),
        end=_SEGMENTED + _group("size", _DEPTH, _HEIGHT, _WIDTH) + _group("source", _ANNOTATION, _DATABASE, _IMAGE),
        edges=("xmax", "xmin", "ymax", "ymin"),
    ),
    # Roboflow
    _Layout(
        _NAMES_FIRST,
        _LABELIMG,
        (_NAME, _POSE, _TRUNCATED, _DIFFICULT, _OCCLUDED),
        edges=("xmin", "xmax", "ymin", "ymax"),
    ),
)


def parse_layout(data: bytes) -> Annotation | None:
    """The annotation, or ``None`` where the file is not exactly in a known layout (or not in UTF-8)."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    for layout in _LAYOUTS:
        annotation = layout.parse(text)
        if annotation is not None:
            return annotation
    return None


_NAMES = re.compile(rb"<name>([^<&]*)</name>")
_LABELS = re.compile(rb"<object>[ \t\r\n]*<name>([^<&]*)</name>")


def quick_labels(data: bytes) -> list[str] | None:
    """The labels of a file's objects, or ``None`` where only reading it whole can tell."""
    if not data.startswith(b"<annotation") or b"<!" in data:
        return None
    found, names, objects = _NAMES.findall(data), data.count(b"<name"), data.count(b"<object>")
    if len(found) == names != objects and data.count(b"<bndbox>") == objects + data.count(b"<part>"):
        # The other names have to be those of the picture's owner, and of parts.
        found = _LABELS.findall(data)
        names -= data.count(b"<part>") + data.count(b"<owner>")
    if not len(found) == names == objects:
        return None
    try:
        return [name.strip().decode() for name in found]
    except UnicodeDecodeError:
        return None
