"""``label_map.pbtxt``: the TF Object Detection API's ``StringIntLabelMap`` in protobuf text format.

The grammar is protobuf's text format (https://protobuf.dev/reference/protobuf/textformat-spec/); the fields are those
of ``object_detection/protos/string_int_label_map.proto``. Only ``id``, ``name`` and ``display_name`` are used; other
fields (``keypoints``, ``ancestor_ids``, ...) are read over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from boxwright.errors import DataError
from boxwright.schemas import LabelMap, LabelMapItem

_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<word>[A-Za-z0-9_.+-]+)
      | (?P<mark>[{}<>:;,\[\]])""",
    re.VERBOSE,
)
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_SIMPLE_ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_CLOSING = {"{": "}", "<": ">", "[": "]"}


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
    kind.

    Raises:
        DataError: Not the text format, no items, an item without id or name, or two items with one id or name.
    """
    tokens = _Tokens(text.removeprefix("\ufeff"), source)
    items: list[LabelMapItem] = []
    for key, value, line in tokens.message(None):
        if key != "item" or not isinstance(value, list):
            continue
        fields = {name: content for name, content, _ in value}
        name = fields.get("name") or fields.get("display_name")
        number = fields.get("id")
        if not isinstance(name, str) or not isinstance(number, str) or not number.isascii() or not number.isdigit():
            raise DataError(
                source, "an item needs an id (a whole number) and a name", "write: item { id: 1 name: 'fig' }", line
            )
        display = fields.get("display_name") if fields.get("name") else None
        items.append(
            LabelMapItem(id=int(number), name=name, display_name=display if isinstance(display, str) else None)
        )
    if not items:
        raise DataError(source, "no item { id: ... name: ... } in it", "is this a label map?")
    try:
        return LabelMap(items=tuple(items))
    except ValueError as error:
        reason = re.search(r"(?:id|name) .* stands twice in the label map", str(error))
        problem = reason.group() if reason else str(error)
        raise DataError(source, problem, "give every class an id and a name of its own") from None


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
        return _SIMPLE_ESCAPES.get(simple, simple)

    return _ESCAPE.sub(plain, token[1:-1].encode()).decode("utf-8", errors="replace")


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
        """Yields ``(field, value, place)`` until the closing mark; a value is a str, or a list for a message."""
        while True:
            kind, token, line = self._next(may_end=closing is None)
            if kind == "end" or token == closing:
                return
            if token in (";", ","):
                continue
            if kind != "word":
                raise DataError(self.source, f"expected a field name, found {token!r}", "", f"line {line}")
            yield token, self._value(token, line), f"line {line}"

    def _value(self, field: str, line: int) -> object:
        kind, mark, _ = self._next()
        if mark == ":":
            kind, mark, _ = self._next()
        elif mark not in ("{", "<"):
            raise DataError(self.source, f"expected ':' after {field}, found {mark!r}", "", f"line {line}")
        if mark in ("{", "<"):
            return list(self.message(_CLOSING[mark]))
        if mark == "[":
            while self._next()[1] != "]":
                pass
            return None
        if kind != "string":
            return mark
        text = _unquote(mark)
        while self.position < len(self.tokens) and self.tokens[self.position][0] == "string":
            text += _unquote(self._next()[1])  # adjacent strings are one, as in C
        return text

    def _next(self, may_end: bool = False) -> tuple[str, str, int]:
        if self.position == len(self.tokens):
            if may_end:
                return "end", "", self.last_line
            raise DataError(
                self.source, "ends in the middle of an item", "is the file whole?", f"line {self.last_line}"
            )
        self.position += 1
        return self.tokens[self.position - 1]
