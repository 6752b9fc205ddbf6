"""Reads exactly the layouts that common programs write, with regular expressions.

A program always writes its elements in the same order, so most files need no XML parser, which takes ten times as long.
Known are the layouts of labelImg (``libs/pascal_voc_io.py``), of the PASCAL VOC database until 2008 and from 2009 on,
and of Roboflow. Every character of the file must be part of the layout, and texts may not contain anything that has a
meaning in XML (``&``, ``<``, ``]]>``, control characters, line ends), so the result is always that of :mod:`.tree`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from boxwright import Coordinates
from boxwright_voc.xml.annotation import DEFAULT_DATABASE, DEFAULT_POSE, Annotation
from boxwright_voc.xml.values import number, scalar

_COORDINATES = ("xmin", "ymin", "xmax", "ymax")
_GAP = r"[ \t\r\n]*"
_CACHED: Final = 1 << 12
# A text that begins or ends with a space must be stripped, which is left to the tree.
_PLAIN = r"(?! )[^<>&\]\x00-\x1f\ufffe\uffff]*(?<! )"
_NAMED = r"(?! )[^<>&\]\x00-\x1f\ufffe\uffff]+(?<! )"
_NUMBER = r"-?[0-9]{1,12}(?:\.[0-9]{1,17})?"


def _element(tag: str, content: str) -> str:
    return f"<{tag}>{content}</{tag}>{_GAP}"


def _group(tag: str, *content: str) -> str:
    return f"<{tag}>{_GAP}{''.join(content)}</{tag}>{_GAP}"


def _maybe(content: str) -> str:
    return f"(?:{content})?"


def _flag(tag: str) -> str:
    # A default value matches without a group, so a single count shows that all values are defaults.
    return _element(tag, f"(?:0|(?P<{tag}>[1-9][0-9]{{0,8}}))")


def _bndbox(*tags: str) -> str:
    # Checking the number when it is converted is faster than matching it here.
    return _group("bndbox", *(_element(tag, f"(?P<{tag}>[-.0-9]{{1,32}})") for tag in tags))


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
_BNDBOX = _bndbox(*_COORDINATES)


def _part(opening: str) -> str:
    """Returns the pattern of a person's part; ``opening`` begins the group of its name and of each coordinate."""
    coordinates = [_element(tag, f"{opening}{_NUMBER})") for tag in _COORDINATES]
    return _group("part", _element("name", f"{opening}{_NAMED})"), _group("bndbox", *coordinates))


_PARTS = _maybe(f"(?P<part>(?:{_part('(?:')})+)")
_PART = _part("(")
_ACTION_NAMES = (
    *("jumping", "other", "phoning", "playinginstrument", "reading", "ridingbike", "ridinghorse", "running"),
    *("takingphoto", "usingcomputer", "walking"),
)
_ACTIONS = _maybe(f"(?P<actions>{_group('actions', *(_maybe(_element(name, '[01]')) for name in _ACTION_NAMES))})")
_ACTION = "<([a-z]+)>([01])<"
_POINT = _maybe(f"(?P<point>{_group('point', _element('x', _NUMBER), _element('y', _NUMBER))})")
_AXIS = f"<([xy])>({_NUMBER})<"


def _parts(text: str) -> Any:
    parts = [
        {"name": scalar(name), "bndbox": dict(zip(_COORDINATES, map(number, values), strict=True))}
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


class _NotANumberError(Exception):
    """A text is not a number as programs write them."""


class _Numbers(dict[str, float]):
    """Numbers by their text, cached: a dataset has few different ones."""

    def __missing__(self, text: str) -> float:
        if re.fullmatch(_NUMBER, text) is None:
            raise _NotANumberError
        number = float(text)
        if len(self) < _CACHED:
            self[text] = number
        return number


_NUMBERS = _Numbers()


class _Layout:
    """The order in which a program writes its elements.

    Args:
        head: The pattern of everything before the objects.
        content: The patterns of an object's elements.
        tail: The pattern of everything after the objects.
    """

    def __init__(self, head: str, content: tuple[str, ...], tail: str = "") -> None:
        self._patterns = (_START + head, _group("object", *content), tail + _END)
        self._step = 0

    def _compile(self) -> None:
        # At the first use: most runs need one layout, and each takes milliseconds to compile.
        self._head, self._object, self._tail = map(re.compile, self._patterns)
        places = self._object.groupindex
        self._name = places["name"]
        self._coordinates = tuple(places[tag] for tag in _COORDINATES)
        self._box_fields = [(name, places[name], read) for name, read in _BOX_FIELDS.items() if name in places]
        fields = {**self._head.groupindex, **{n: p + self._head.groups for n, p in self._tail.groupindex.items()}}
        self._required = tuple(fields.pop(name) - 1 for name in ("filename", "width", "height"))
        self._image_fields = [(name, place - 1) for name, place in fields.items()]
        self._nested = [(name, *name.split("_")) for name in fields if "_" in name]
        self._step = 1 + self._object.groups
        self._known: dict[tuple[str | None, ...], Mapping[str, Any]] = {}  # few, shared by many boxes

    def parse(self, text: str) -> Annotation | None:
        """Returns the content of an annotation, or ``None`` if the text is not exactly in this layout."""
        if not self._step:
            self._compile()
        head = self._head.match(text)
        if head is None:
            return None
        # One pass returns the text between the objects and, in columns, the objects' fields.
        fields: list[Any] = self._object.split(text[head.end() :])
        step = self._step
        tail = self._tail.fullmatch(fields[-1])
        if tail is None or any(fields[:-1:step]):
            return None
        groups = head.groups()
        if tail.re.groups:
            groups += tail.groups()
        attributes: dict[str, Any] = {name: groups[place] for name, place in self._image_fields if groups[place]}
        if "depth" in attributes:
            attributes["depth"] = int(attributes["depth"])
        if "segmented" in attributes:
            attributes["segmented"] = int(attributes["segmented"])
        for name, owner, inner in self._nested:
            if name in attributes:
                attributes.setdefault(owner, {})[inner] = scalar(attributes.pop(name))
        filename, width, height = self._required
        a, b, c, d = self._coordinates
        columns = zip(fields[a::step], fields[b::step], fields[c::step], fields[d::step], strict=True)
        numbers = _NUMBERS
        try:
            coordinates: list[Coordinates] = [
                (numbers[xmin], numbers[ymin], numbers[xmax], numbers[ymax]) for xmin, ymin, xmax, ymax in columns
            ]
        except _NotANumberError:
            return None
        return Annotation(
            groups[filename],
            int(groups[width]),
            int(groups[height]),
            attributes,
            fields[self._name :: step],
            coordinates,
            self._box_attributes(fields),
        )

    def _box_attributes(self, fields: list[Any]) -> list[Mapping[str, Any]] | None:
        step, columns = self._step, self._box_fields
        if fields.count(None) == len(columns) * (len(fields) // step):
            return None
        known, rows = self._known, []
        for texts in zip(*[fields[place::step] for _, place, _ in columns], strict=True):
            attributes = known.get(texts)
            if attributes is None:
                values = zip(columns, texts, strict=True)
                attributes = MappingProxyType(
                    {name: read(text) for (name, _, read), text in values if text is not None}
                )
                if len(known) < _CACHED and all(type(value) in (str, int) for value in attributes.values()):
                    known[texts] = attributes
            rows.append(attributes)
        return rows


_SIZE = _group("size", _WIDTH, _HEIGHT, _DEPTH)
_SOURCE = _group("source", _DATABASE, _maybe(_ANNOTATION), _maybe(_IMAGE), _maybe(_FLICKRID))
_LABELIMG = _FOLDER + _FILENAME + _maybe(_PATH) + _group("source", _DATABASE) + _SIZE + _SEGMENTED
_VOC = _FOLDER + _FILENAME + _maybe(_PATH) + _SOURCE + _maybe(_OWNER) + _SIZE + _SEGMENTED

_LAYOUTS = (
    # labelImg
    _Layout(_LABELIMG, (_NAME, _POSE, _TRUNCATED, _DIFFICULT, _BNDBOX)),
    # VOC 2007, and what boxwright writes
    _Layout(_VOC, (_NAME, _POSE, _TRUNCATED, _DIFFICULT, _maybe(_OCCLUDED), _BNDBOX, _PARTS)),
    # VOC 2008
    _Layout(_VOC, (_NAME, _POSE, _TRUNCATED, _OCCLUDED, _BNDBOX, _DIFFICULT, _PARTS)),
    # VOC 2009 to 2012: by the alphabet
    _Layout(
        _FILENAME + _FOLDER,
        (
            *(_NAME, _ACTIONS, _bndbox("xmax", "xmin", "ymax", "ymin"), _DIFFICULT, _maybe(_OCCLUDED), _POSE, _POINT),
            _maybe(_TRUNCATED),
        ),
        _SEGMENTED + _group("size", _DEPTH, _HEIGHT, _WIDTH) + _group("source", _ANNOTATION, _DATABASE, _IMAGE),
    ),
    # Roboflow
    _Layout(
        _LABELIMG,
        (_NAME, _POSE, _TRUNCATED, _DIFFICULT, _OCCLUDED, _bndbox("xmin", "xmax", "ymin", "ymax")),
    ),
)


def match_layout(data: bytes) -> Annotation | None:
    """Returns the content of an annotation, or ``None`` if it is not UTF-8 in exactly one of the known layouts."""
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


def find_labels(data: bytes) -> list[str] | None:
    """Returns the labels of a file's objects, or ``None`` if the whole file must be parsed to find them."""
    if not data.startswith(b"<annotation") or b"<!" in data:
        return None
    found, names, objects = _NAMES.findall(data), data.count(b"<name"), data.count(b"<object>")
    if len(found) == names != objects and data.count(b"<bndbox>") == objects + data.count(b"<part>"):
        # The other names must be those of the image's owner, and of parts.
        found = _LABELS.findall(data)
        names -= data.count(b"<part>") + data.count(b"<owner>")
    if not len(found) == names == objects:
        return None
    try:
        return [name.strip().decode() for name in found]
    except UnicodeDecodeError:
        return None
