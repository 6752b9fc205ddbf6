"""``label_map.pbtxt``: the TF Object Detection API's ``StringIntLabelMap`` in protobuf text format.

The grammar is protobuf's text format (https://protobuf.dev/reference/protobuf/textformat-spec/); the fields are those
of ``object_detection/protos/string_int_label_map.proto``. Only ``id``, ``name`` and ``display_name`` are used; other
fields (``keypoints``, ``ancestor_ids``, ...) are read over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from boxwright.errors import DataError
from boxwright.storage.filesystem import read_file
from boxwright.storage.uri import join
from boxwright.text import check_classes


class LabelMapItem(BaseModel):
    """One class of a label map: its number in files (1-based; 0 is the background) and its name."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    id: int = Field(ge=0)
    name: str = Field(min_length=1)
    display_name: str | None = None


class LabelMap(BaseModel):
    """The classes of a dataset, in a stable order.

    ``ids`` are what files use (1..N unless a label map file says otherwise), ``indices`` 0..N-1 are what tensors use.

    Raises:
        ValueError: Two classes share a name or an id.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    items: tuple[LabelMapItem, ...] = ()

    @model_validator(mode="after")
    def _unique(self) -> LabelMap:
        for what in ("id", "name"):
            values = [getattr(item, what) for item in self.items]
            if len(set(values)) != len(values):
                twice = next(value for value in values if values.count(value) > 1)
                raise ValueError(f"{what} {twice!r} stands twice in the label map")
        return self

    @classmethod
    def from_names(cls, names: Iterable[str], *, sort: bool = True) -> LabelMap:
        """Ids 1..N in the order of the names, sorted by default so that the order never depends on the data's.

        Raises:
            DataError: A name cannot be written as UTF-8.
        """
        unique = dict.fromkeys(names)
        check_classes(unique)
        ordered = sorted(unique) if sort else list(unique)
        return cls(items=tuple(LabelMapItem(id=i, name=name) for i, name in enumerate(ordered, start=1)))

    @classmethod
    def from_pbtxt(cls, text: str, source: str = "label_map.pbtxt") -> LabelMap:
        """Reads the TF Object Detection API's ``StringIntLabelMap`` text.

        Raises:
            DataError: The text is no label map; the error names ``source`` and the line.
        """
        return parse_label_map(text, source)

    def to_pbtxt(self) -> str:
        """The map as ``label_map.pbtxt`` text, as the first tutorial's ``xml_to_csv.py`` writes it."""
        return format_label_map(self)

    @property
    def names(self) -> tuple[str, ...]:
        """The names in order; ``names[index]`` undoes :meth:`index`."""
        return tuple(item.name for item in self.items)

    def id(self, name: str) -> int:
        """The number of a class in files.

        Raises:
            KeyError: There is no such class.
        """
        return self._by_name[name].id

    def index(self, name: str) -> int:
        """The number of a class in tensors, 0..N-1.

        Raises:
            KeyError: There is no such class.
        """
        return self._indices[name]

    def name(self, id: int) -> str:
        """The name of a class by its number in files.

        Raises:
            KeyError: There is no such class.
        """
        return self._by_id[id].name

    def __contains__(self, name: object) -> bool:
        return name in self._indices

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def _by_name(self) -> dict[str, LabelMapItem]:
        return {item.name: item for item in self.items}

    @cached_property
    def _by_id(self) -> dict[int, LabelMapItem]:
        return {item.id: item for item in self.items}

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {item.name: i for i, item in enumerate(self.items)}


_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<word>[A-Za-z0-9_.+-]+)
      | (?P<mark>[{}<>:;,\[\]])""",
    re.VERBOSE,
)
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_SIMPLE_ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_SIMPLE_ESCAPES |= {quoted: quoted for quoted in (b"\\", b"'", b'"', b"?")}
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*")
_CLOSING = {"{": "}", "<": ">"}
_REMEDY = "write: item { id: 1 name: 'fig' }"


def format_label_map(label_map: LabelMap) -> str:
    """Writes the map as the first tutorial's ``xml_to_csv.py`` does: four spaces, single quotes, no last newline."""
    return "\n\n".join(
        "item {\n"
        + f"    id: {item.id}\n    name: {_quote(item.name)}\n"
        + (f"    display_name: {_quote(item.display_name)}\n" if item.display_name is not None else "")
        + "}"
        for item in label_map.items
    )


def parse_label_map(text: str, source: str) -> LabelMap:
    """Reads a ``StringIntLabelMap``.

    A class without a ``name`` takes its ``display_name``, as the API's own ``label_map_util`` does for files of that
    kind. An item with id 0 that is named ``background`` is no class, and is read over as there; any other class may
    have id 0 here, although the API keeps that number for the background.

    Raises:
        DataError: Not the text format, no items, an item without id or name, or two items with one id or name.
    """
    try:
        fields = list(_Tokens(text.removeprefix("\ufeff"), source).message(None))
    except RecursionError:
        raise DataError(source, "it is nested too deeply", "is this a label map?") from None
    items = [_item(value, source, place) for field, value, place in fields if field == "item"]
    if not items:
        if not text.strip():
            return LabelMap()  # that of a dataset in which no box is
        raise DataError(source, "no item { id: ... name: ... } in it", "is this a label map?")
    try:
        return LabelMap(items=tuple(item for item in items if (item.id, item.name) != (0, "background")))
    except ValueError as error:
        reason = re.search(r"(?:id|name) .* stands twice in the label map", str(error))
        problem = reason.group() if reason else str(error)
        raise DataError(source, problem, "give every class an id and a name of its own") from None


def read_label_map(path: str) -> LabelMap | None:
    """Reads a label map file, by path or URL; ``None`` where there is no such file.

    Raises:
        DataError: It cannot be read, is not UTF-8, or is no label map.
    """
    content = read_file(path, "give another label map")
    if content is None:
        return None
    try:
        return parse_label_map(content.decode("utf-8-sig"), path)
    except UnicodeDecodeError:
        raise DataError(path, "it is not UTF-8 text", "save the label map as UTF-8") from None


def find_label_map(given: str | None, folder: str) -> tuple[LabelMap | None, str]:
    """The label map of a dataset and its file: the one that was named, else ``label_map.pbtxt`` in a folder.

    Args:
        given: The reader's option ``label_map``.
        folder: Where else to look.

    Returns:
        ``(None, "")`` where none was named and none is there.

    Raises:
        DataError: The one that was named is not there; or as :func:`read_label_map`.
    """
    path = given if given is not None else join(folder, "label_map.pbtxt")
    found = read_label_map(path)
    if found is None and given is not None:
        raise DataError(path, "there is no such label map", "check ?label_map=FILE")
    return found, path if found is not None else ""


def _item(value: object, source: str, place: str) -> LabelMapItem:
    found: dict[str, object] = {}
    for field, content, where in value if isinstance(value, list) else ():
        if field in ("id", "name", "display_name") and found.setdefault(field, content) is not content:
            raise DataError(source, f"an item has two fields {field!r}", "leave one of them out", where)
    name, display = (_text(found.get(field)) for field in ("name", "display_name"))
    number = _number(found.get("id"))
    if number is None or not (name or display):
        raise DataError(source, "an item needs an id (a whole number) and a name", _REMEDY, place)
    return LabelMapItem(id=number, name=name or display or "", display_name=display if name else None)


def _text(value: object) -> str | None:
    return value.text if isinstance(value, _Scalar) and value.kind == "string" else None


def _number(value: object) -> int | None:
    # Numbers are decimal, 0x... hexadecimal or 0... octal, as in C.
    if not isinstance(value, _Scalar) or value.kind != "word" or not _NUMBER.fullmatch(value.text):
        return None
    text = value.text.lower()
    return int(text, 16 if text.startswith("0x") else 8 if text.startswith("0") else 10)


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"


def _unquote(token: str) -> str:
    def plain(match: re.Match[bytes]) -> bytes:
        octal, hexadecimal, short, long, simple = match.groups()
        if octal:
            return bytes([int(octal, 8) & 0xFF])
        if hexadecimal:
            return bytes([int(hexadecimal, 16)])
        if short or long:
            return chr(int(short or long, 16)).encode()
        return _SIMPLE_ESCAPES.get(simple, b"\\" + simple)  # protobuf keeps the backslash of what it does not know

    return _ESCAPE.sub(plain, token[1:-1].encode()).decode()


class _Scalar(NamedTuple):
    """A value that is no message: ``kind`` is ``"string"`` or ``"word"``."""

    kind: str
    text: str


class _Tokens:
    """A cursor over the tokens of one text, which knows the line for messages."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self.tokens: list[tuple[str, str, int]] = []
        position, line = 0, 1
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise DataError(source, f"unexpected {text[position]!r}", "is this a label map?", f"line {line}")
            kind = match.lastgroup or ""
            if kind != "space":
                self.tokens.append((kind, match.group(), line))
            line += match.group().count("\n")
            position = match.end()
        self.position = 0
        self.last_line = line

    def message(self, closing: str | None) -> Iterator[tuple[str, Any, str]]:
        """Yields ``(field, value, place)`` until the closing mark.

        A value is a :class:`_Scalar`, or for a message the list of its own triples; ``field: [a, b]`` yields twice.
        """
        while True:
            kind, token, line = self._next(may_end=closing is None)
            if kind == "end" or token == closing:
                return
            if token in (";", ","):
                continue
            if kind != "word":
                raise DataError(self.source, f"expected a field name, found {token!r}", _REMEDY, f"line {line}")
            for value in self._values(token, line):
                yield token, value, f"line {line}"

    def _values(self, field: str, line: int) -> Iterator[_Scalar | list[Any]]:
        kind, mark, _ = self._next()
        if mark == ":":
            kind, mark, _ = self._next()
        elif mark not in ("{", "<"):
            raise DataError(self.source, f"expected ':' after {field}, found {mark!r}", _REMEDY, f"line {line}")
        if mark != "[":
            yield self._value(kind, mark, line)
            return
        while (entry := self._next())[1] != "]":
            if entry[1] != ",":
                yield self._value(*entry)

    def _value(self, kind: str, content: str, line: int) -> _Scalar | list[Any]:
        if content in _CLOSING:
            return list(self.message(_CLOSING[content]))
        if kind == "mark":
            raise DataError(self.source, f"expected a value, found {content!r}", _REMEDY, f"line {line}")
        if kind != "string":
            return _Scalar(kind, content)
        text = self._string(content, line)
        while self.position < len(self.tokens) and self.tokens[self.position][0] == "string":
            text += self._string(*self._next()[1:])  # adjacent strings are one, as in C
        return _Scalar(kind, text)

    def _string(self, token: str, line: int) -> str:
        try:
            return _unquote(token)
        except (ValueError, OverflowError):  # bytes that are no UTF-8, or code points that are no characters
            raise DataError(self.source, f"{token} is no text", "save the label map as UTF-8", f"line {line}") from None

    def _next(self, may_end: bool = False) -> tuple[str, str, int]:
        if self.position == len(self.tokens):
            if may_end:
                return "end", "", self.last_line
            raise DataError(
                self.source, "ends in the middle of an item", "is the file whole?", f"line {self.last_line}"
            )
        self.position += 1
        return self.tokens[self.position - 1]
