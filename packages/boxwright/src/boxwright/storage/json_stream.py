"""Reads a large JSON file one part at a time, so that memory does not grow with the file."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Collection, Iterator
from typing import IO, Any, NamedTuple, NoReturn

from boxwright.errors import DataError
from boxwright.storage.filesystem import open_binary

_CHUNK = 1 << 14
_LARGEST = 1 << 25
"""Characters of one part; the entry of an image with ten thousand boxes has a tenth of it."""

_SPACE = re.compile(r"[ \t\r\n]*")
_NEAR_THE_END = 16
"""An error this close to the end of the buffer may come from an incomplete escape or word; none is longer."""

_REPAIR = "repair the file, or export it again"


class JsonMember(NamedTuple):
    """A part of a JSON object.

    Attributes:
        key: The key of the member of the object.
        name: For a part of a member that is an object itself: its key there; otherwise empty.
        line: The line where the value begins, from 1.
        value: The value.
    """

    key: str
    name: str
    line: int
    value: Any


def json_elements(location: str, remedy: str) -> Iterator[tuple[int, Any]]:
    """Yields each element of the list in a file, with the line where it begins, from 1.

    Args:
        location: A path, or a URL that fsspec opens; UTF-8 with or without byte order mark, or UTF-16 with one.
        remedy: The remedy if the file does not contain a list, for messages.

    Raises:
        DataError: The file is missing, or is not a JSON list; with the line.
    """
    with _opened(location) as text:
        text.begin("[", f"it is not a list: it begins with {text.next()!r}", remedy)
        for _, line, value in text.list():
            yield line, value
        text.end("list")


def json_members(location: str, remedy: str, into: Collection[str] = ()) -> Iterator[JsonMember]:
    """Yields each member of the object in a file.

    Args:
        location: As for :func:`json_elements`.
        remedy: The remedy if the file does not contain an object, for messages.
        into: Members whose own elements or members are yielded one by one, if they are lists or objects.

    Raises:
        DataError: The file is missing, or is not a JSON object; with the line.
    """
    with _opened(location) as text:
        text.begin("{", f"it is not an object: it begins with {text.next()!r}", remedy)
        for key in text.member_keys():
            inside = text.next() if key in into else ""
            if inside == "[":
                text.skip()
                parts = text.list()
            elif inside == "{":
                text.skip()
                parts = text.object()
            else:
                parts = iter((("", *text.value()),))
            for name, line, value in parts:
                yield JsonMember(key, name, line, value)
        text.end("object")


@contextlib.contextmanager
def _opened(location: str) -> Iterator[_Text]:
    with open_binary(location) as binary:
        start = binary.read(2)
        binary.seek(0)
        encoding = "utf-16" if start in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        with io.TextIOWrapper(binary, encoding, newline="") as text:
            yield _Text(text, location, encoding)


class _Text:
    """A text that is read in parts, and the position in it."""

    def __init__(self, text: IO[str], location: str, encoding: str) -> None:
        self._text = text
        self._location = location
        self._encoding = encoding
        self._decoder = json.JSONDecoder(parse_constant=_refuse_constant)
        self._buffer = ""
        self._position = 0
        self._line = 1
        self._ended = False

    def begin(self, mark: str, problem: str, remedy: str) -> None:
        """Moves past the first character, which must be ``mark``."""
        if self.next() != mark:
            raise self._error("it is empty" if not self.next() else problem, remedy)
        self.skip()

    def end(self, what: str) -> None:
        """Checks that nothing follows."""
        if self.next():
            raise self._error(f"it is not valid JSON: there is {self.next()!r} after the {what}", _REPAIR)

    def list(self) -> Iterator[tuple[str, int, Any]]:
        """Yields an empty name, the line and the value of each element of the list that has begun."""
        if not self._is_empty("]"):
            while True:
                yield "", *self.value()
                if self._is_last("]", "list", "an element"):
                    return

    def object(self) -> Iterator[tuple[str, int, Any]]:
        """Yields the key, the line and the value of each member of the object that has begun."""
        for key in self.member_keys():
            yield key, *self.value()

    def member_keys(self) -> Iterator[str]:
        """Yields each key of the object that has begun; the caller reads its value."""
        if not self._is_empty("}"):
            while True:
                _, key = self.value()
                if not isinstance(key, str) or self.next() != ":":
                    raise self._error(f"it is not valid JSON: {key!r:.40} is not a key with a colon", _REPAIR)
                self.skip()
                yield key
                if self._is_last("}", "object", "a member"):
                    return

    def _is_empty(self, closing: str) -> bool:
        empty = self.next() == closing
        if empty:
            self.skip()
        return empty

    def _is_last(self, closing: str, whole: str, part: str) -> bool:
        mark = self.next()
        if mark not in (",", closing):
            what = f"the {whole} is incomplete" if not mark else f"there is {mark!r} after {part}, not a comma"
            raise self._error(f"it is not valid JSON: {what}", _REPAIR)
        self.skip()
        return mark == closing

    def skip(self) -> None:
        """Moves past one character, which :meth:`next` has returned."""
        self._position += 1

    def next(self) -> str:
        """Moves to the next character that is not white space, and returns it; empty at the end."""
        while True:
            end = _SPACE.match(self._buffer, self._position).end()  # type: ignore[union-attr]  # it also matches the empty text
            self._line += self._buffer.count("\n", self._position, end)
            self._position = end
            if end < len(self._buffer):
                return self._buffer[end]
            if not self._more():
                return ""

    def _more(self) -> bool:
        """Reads more; twice as much each time, so a long part is not parsed too often."""
        if self._ended:
            return False
        left = self._buffer[self._position :]
        try:
            read = self._text.read(max(_CHUNK, len(left)))
        except UnicodeDecodeError:
            name = self._encoding.removesuffix("-sig").upper()
            raise self._error(f"it is not {name} text", "save it as UTF-8") from None
        if not read:
            self._ended = True
            return False
        self._buffer, self._position = left + read, 0
        return True

    def value(self) -> tuple[int, Any]:
        """Returns the line and the next value."""
        self.next()
        line = self._line
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._position)
            except json.JSONDecodeError as error:
                near = error.pos >= len(self._buffer) - _NEAR_THE_END or error.msg.startswith("Unterminated")
                if near and len(self._buffer) - self._position < _LARGEST and self._more():
                    continue
                lines = self._buffer.count("\n", self._position, error.pos)
                problem = f"it is not valid JSON: {error.msg.removesuffix(' at')}"
                raise self._error(problem, _REPAIR, self._line + lines) from None
            except RecursionError:
                raise self._error("it is nested too deeply", _REPAIR) from None
            except ValueError as error:  # NaN, or a number with more digits than Python converts
                raise self._error(f"it is not valid JSON: {error}", _REPAIR) from None
            # A number at the end of the buffer may continue, like 1 in 1.5 or 1e-5.
            if end >= len(self._buffer) - 2 and isinstance(value, int | float) and self._more():
                continue
            self._line += self._buffer.count("\n", self._position, end)
            self._position = end
            return line, value

    def _error(self, problem: str, remedy: str, line: int = 0) -> DataError:
        return DataError(self._location, problem, remedy, f"line {line or self._line}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
