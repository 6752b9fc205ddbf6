"""Reads the elements of a JSON list one at a time, so memory does not grow with the dataset."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Iterator
from typing import IO, Any, NoReturn

from boxwright import DataError
from boxwright.storage import filesystem, is_remote

_CHUNK = 1 << 14
_LARGEST = 1 << 25
"""Characters of one element; the entry of an image with ten thousand boxes has a tenth of it."""

_SPACE = re.compile(r"[ \t\r\n]*")
_NEAR_THE_END = 16
"""An error this close to the end of the buffer may come from an incomplete escape or word; none is longer."""

_REMEDY = "repair the file, or export it again"


def elements(location: str) -> Iterator[tuple[int, Any]]:
    """Yields each element of the list in a file, with the line where it begins, from 1.

    Args:
        location: A path, or a URL that fsspec opens; UTF-8 with or without byte order mark, or UTF-16 with one.

    Raises:
        DataError: The file is missing, or is not a JSON list; with the line.
    """
    with _open(location) as binary:
        start = binary.read(2)
        binary.seek(0)
        encoding = "utf-16" if start in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        with io.TextIOWrapper(binary, encoding, newline="") as text:
            yield from _Elements(text, location, encoding)


@contextlib.contextmanager
def _open(location: str) -> Iterator[IO[bytes]]:
    try:
        if is_remote(location):
            files, path = filesystem(location)  # closes an archive's file when it is released
            file: Any = files.open(path, "rb")
            file = file if file.seekable() else io.BytesIO(file.read())
        else:
            file = open(location, "rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        problem = "file not found" if missing else f"it cannot be read: {error.strerror or error}"
        raise DataError(location, problem, "check the path") from None
    with file:
        yield file


class _Elements:
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

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        if self._next() != "[":
            what = "it is empty" if not self._next() else f"it is not a list: it begins with {self._next()!r}"
            raise self._error(what, "name a CreateML JSON file, a list with an object for each image")
        self._position += 1
        if self._next() == "]":
            self._position += 1
            self._end()
            return
        while True:
            self._next()
            yield self._line, self._element()
            mark = self._next()
            if mark not in (",", "]"):
                what = "the list is incomplete" if not mark else f"there is {mark!r} after an element, not a comma"
                raise self._error(f"it is not valid JSON: {what}", _REMEDY)
            self._position += 1
            if mark == "]":
                self._end()
                return

    def _end(self) -> None:
        if self._next():
            raise self._error(f"it is not valid JSON: there is {self._next()!r} after the list", _REMEDY)

    def _next(self) -> str:
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
        """Reads more; twice as much each time, so a long element is not parsed too often."""
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

    def _element(self) -> Any:
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._position)
            except json.JSONDecodeError as error:
                near = error.pos >= len(self._buffer) - _NEAR_THE_END or error.msg.startswith("Unterminated")
                if near and len(self._buffer) - self._position < _LARGEST and self._more():
                    continue
                lines = self._buffer.count("\n", self._position, error.pos)
                raise self._error(
                    f"it is not valid JSON: {error.msg.removesuffix(' at')}", _REMEDY, self._line + lines
                ) from None
            except RecursionError:
                raise self._error("it is nested too deeply", _REMEDY) from None
            except ValueError as error:  # NaN, or a number with more digits than Python converts
                raise self._error(f"it is not valid JSON: {error}", _REMEDY) from None
            # A number at the end of the buffer may continue, like 1 in 1.5 or 1e-5.
            if end >= len(self._buffer) - 2 and isinstance(value, int | float) and self._more():
                continue
            self._line += self._buffer.count("\n", self._position, end)
            self._position = end
            return value

    def _error(self, problem: str, remedy: str, line: int = 0) -> DataError:
        return DataError(self._location, problem, remedy, f"line {line or self._line}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
