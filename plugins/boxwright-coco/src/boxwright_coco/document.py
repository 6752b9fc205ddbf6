"""A JSON file read piece by piece, so that memory does not grow with it.

JSON: RFC 8259 (https://www.rfc-editor.org/rfc/rfc8259). Everything that gives a file its structure is ASCII, so the
bytes are looked through one character a byte (ISO 8859-1): a place in the text is then a place in the file. What holds
other characters is decoded once more from its place by :meth:`OpenDocument.decode`.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from json.scanner import make_scanner
from types import TracebackType
from typing import IO, Any, Final

from boxwright import DataError
from boxwright.storage import is_remote, read_file

_WINDOW: Final = 1 << 16
_BLOCK: Final = 1 << 20
_NEAR_THE_END: Final = 16  # longer than any literal, number prefix or escape that a window's end can cut
_SPACE = re.compile(r"[ \t\n\r]*")
_COMMA = re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
_MARKS: Final = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
_DECODER = json.JSONDecoder()
_SCAN = make_scanner(_DECODER)  # type: ignore[arg-type]  # what the decoder itself does

Quick = Callable[[bytes, int, int], int]
"""Takes elements from a text, from a place in it on, whose beginning has this offset in the file; where it stopped."""


class Document:
    """A JSON file that can be opened again and again.

    UTF-8 is read from its place; UTF-16 and UTF-32, and files at URLs, are held in memory.

    Args:
        location: A path, or a URL that fsspec opens.
        content: Its bytes, where they are at hand.

    Raises:
        DataError: There is no such file, it is empty, or it is not text.
    """

    def __init__(self, location: str, content: bytes | None = None) -> None:
        self.location = location
        self._content = content
        if content is None and is_remote(location):
            self._content = read_file(location, "check the address")
            if self._content is None:
                raise DataError(location, "there is no such file", "check the address")
        if self._content is not None:
            head = self._content[:4]
        else:
            with self._opened() as file:
                self._signature = _signature(file)
                head = file.read(4)
        if not head:
            raise DataError(location, "the file is empty", "export the dataset again")
        self._start = 0
        encoding = next((name for mark, name in _MARKS.items() if head.startswith(mark)), "utf-8")
        if encoding == "utf-8-sig":
            self._start = 3
        elif encoding != "utf-8":
            self._content = self._transcoded(encoding)

    def open(self) -> OpenDocument:
        """Opens the file for reading; a context manager.

        Raises:
            DataError: It cannot be read any more, or is not the file that it was.
        """
        if self._content is not None:
            return OpenDocument(self, io.BytesIO(self._content), self._start)
        file = self._opened()
        if _signature(file) != self._signature:
            file.close()
            raise DataError(self.location, "it was changed while it was in use", "open the dataset again")
        return OpenDocument(self, file, self._start)

    def _opened(self) -> IO[bytes]:
        try:
            return open(self.location, "rb", buffering=0)
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            problem = "there is no such file" if missing else f"it cannot be read: {error.strerror or error}"
            remedy = "name the JSON file in it" if isinstance(error, IsADirectoryError) else "check the path"
            raise DataError(self.location, problem, remedy) from None

    def _transcoded(self, encoding: str) -> bytes:
        content = self._content
        if content is None:
            with self._opened() as file:
                content = file.read()
        try:
            return content.decode(encoding).encode()
        except UnicodeError:
            raise DataError(self.location, f"it is not {encoding.upper()} text", "save it as UTF-8") from None

    def place(self, offset: int, column: bool = False) -> str:
        """``line 3`` or ``line 3 column 7``, as an editor counts them; empty for a line in a file of only one."""
        with self.open() as file:
            block, rest = divmod(offset, _BLOCK)
            before = file.read(block * _BLOCK, rest)
            line = self._lines[block] + before.count(b"\n") + 1
            if not column:
                return f"line {line}" if self._lines[-1] else ""
            start = before.rfind(b"\n") + 1
            return f"line {line} column {len(before[start:].decode(errors='replace')) + 1}"

    @cached_property
    def _lines(self) -> list[int]:
        """How many line ends come before each block, and in all."""
        counts, total, position = [0], 0, 0
        with self.open() as file:
            while data := file.read(position, _BLOCK):
                total += data.count(b"\n")
                counts.append(total)
                position += len(data)
        return counts


class OpenDocument:
    """A document's bytes. Offsets count from the beginning of the file."""

    def __init__(self, document: Document, file: IO[bytes], start: int) -> None:
        self.document = document
        self.start = start
        self._file = file

    def __enter__(self) -> OpenDocument:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes, or fewer at the end.

        Raises:
            DataError: The file cannot be read.
        """
        try:
            self._file.seek(offset)
            content = self._file.read(size)
            while len(content) < size and (more := self._file.read(size - len(content))):
                content += more  # a read may return less than was requested
            return content
        except OSError as error:
            raise DataError(self.document.location, f"it cannot be read: {error.strerror}", "check the disk") from None

    def decode(self, start: int, end: int) -> Any:
        """The value that begins at ``start`` and is over at ``end``, with its strings decoded.

        Raises:
            ValueError: It is not UTF-8, or is nested too deeply.
        """
        return _decoded(self.read(start, end - start))


def _decoded(content: bytes) -> Any:
    try:
        return _DECODER.raw_decode(content.decode())[0]
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


class Elements:
    """Reads elements of an array again, by their number; those that come in turn are read many at a time.

    Args:
        file: The document.
        starts: Where each begins, and at last where the array ends.
    """

    def __init__(self, file: OpenDocument, starts: Sequence[int]) -> None:
        self._file = file
        self._starts = starts
        self._content = b""
        self._base = 0
        self._next = -1

    def __getitem__(self, number: int) -> Any:
        """An element with its strings decoded.

        Raises:
            ValueError: It is not UTF-8, or is nested too deeply.
        """
        start, end = self._starts[number], self._starts[number + 1]
        in_turn, self._next = number == self._next, number + 1
        if in_turn and not self._holds(start, end):
            self._base, self._content = start, self._file.read(start, _WINDOW)
        if not self._holds(start, end):
            return self._file.decode(start, end)
        return _decoded(self._content[start - self._base : end - self._base])

    def _holds(self, start: int, end: int) -> bool:
        return self._base <= start and end <= self._base + len(self._content)


class Scanner:
    """A cursor over a document, which gives one value after another."""

    def __init__(self, file: OpenDocument) -> None:
        self._opened = file
        self._data = b""
        self._text = ""  # the same, one character a byte
        self._base = file.start
        self._at = 0
        self._whole = False  # whether the window reaches to the end of the file

    @property
    def offset(self) -> int:
        """Where the cursor stands."""
        return self._base + self._at

    def peek(self) -> str:
        """The next character that is no white space, where the cursor then stands; empty at the end."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]  # it matches nothing, too
            if self._at < len(self._text):
                return self._text[self._at]
            if self._whole:
                return ""
            self._fill(_WINDOW)

    def take(self, *wanted: str) -> str:
        """The next character that is no white space, which has to be one of these; the cursor goes behind it.

        Raises:
            DataError: It is another.
        """
        found = self.peek()
        if found not in wanted or not found:
            raise self._error(f"it is no JSON: expected {' or '.join(wanted)}", self.offset)
        self._at += 1
        return found

    def value(self) -> tuple[Any, int, int]:
        """The value at the cursor, which goes behind it; where it begins and ends.

        Strings are right where they are ASCII.

        Raises:
            DataError: There is no value, or none that is JSON.
        """
        self.peek()
        while True:
            try:
                value, end = _SCAN(self._text, self._at)
            except StopIteration as error:
                problem, position = "expected a value", error.value
            except json.JSONDecodeError as error:
                problem, position = error.msg[0].lower() + error.msg[1:], error.pos
            except (RecursionError, ValueError) as error:
                deep = isinstance(error, RecursionError)
                problem = "it is nested too deeply" if deep else "a whole number in it has thousands of digits"
                raise self._error(problem, self.offset, "is this file what it says it is?") from None
            else:
                # Near the end a number may go on: 12 of 12.5e3.
                if self._whole or end < len(self._text) - _NEAR_THE_END:
                    start = self.offset
                    self._at = end
                    return value, start, self.offset
                problem, position = "", end
            unterminated = problem.startswith("unterminated string")
            if self._whole or not (unterminated or position >= len(self._text) - _NEAR_THE_END):
                place = len(self._text) if unterminated else position
                raise self._error(f"it is no JSON: {problem}", self._base + place)
            self._fill(max(_WINDOW, 2 * (len(self._text) - self._at)))

    def members(self) -> Iterator[str]:
        """The keys of the object at the cursor; after each the cursor stands before the value, to be taken.

        Raises:
            DataError: It is no object, or a key stands twice.
        """
        self.take("{")
        seen: set[str] = set()
        if self.peek() == "}":
            self._at += 1
            return
        while True:
            if self.peek() != '"':
                raise self._error("it is no JSON: expected a key in double quotes", self.offset)
            _, start, end = self.value()
            key = self.decoded(start, end)
            if key in seen:
                raise DataError(
                    self._opened.document.location,
                    f"{key!r} stands twice in it",
                    "leave one of them out",
                    self._opened.document.place(start),
                )
            seen.add(key)
            self.take(":")
            yield key
            if self.take(",", "}") == "}":
                return

    def elements(self, quick: Quick | None = None) -> Iterator[tuple[list[Any], list[int]]]:
        """The elements of the array at the cursor, many at a time, with the offset of each.

        Args:
            quick: Takes as many elements as it can from a place in the text, and says where the next one begins.

        Raises:
            DataError: It is no array, or is damaged.
        """
        self.take("[")
        if self.peek() == "]":
            self._at += 1
            return
        scan, comma = _SCAN, _COMMA.match
        while True:
            rows: list[Any] = []
            starts: list[int] = []
            text, base = self._text, self._base
            at = self._at if quick is None else quick(self._data, self._at, base)
            try:
                while True:
                    row, end = scan(text, at)
                    gap = comma(text, end)
                    if gap is None:
                        break
                    rows.append(row)
                    starts.append(base + at)
                    at = gap.end()
            except (StopIteration, ValueError, RecursionError):
                pass  # the window's end cuts this one, or it is no JSON: the slow way tells
            self._at = at
            row, start, _ = self.value()
            yield [*rows, row], [*starts, start]
            if self.take(",", "]") == "]":
                return
            self.peek()

    def finish(self) -> None:
        """Makes sure that nothing follows.

        Raises:
            DataError: Something does.
        """
        if self.peek():
            raise self._error("it is no JSON: there is more after its end", self.offset)

    def decoded(self, start: int, end: int) -> Any:
        """A value that was found, with its strings decoded.

        Raises:
            DataError: It is not UTF-8.
        """
        try:
            return self._opened.decode(start, end)
        except ValueError as error:
            raise self._error(str(error), start, "correct it, and save it as UTF-8") from None

    def _fill(self, size: int) -> None:
        """Moves the window to the cursor."""
        self._base, self._at = self.offset, 0
        data = self._opened.read(self._base, size)
        self._whole = len(data) < size
        self._data = data
        self._text = data.decode("iso8859-1")

    def _error(self, problem: str, offset: int, remedy: str = "export it again") -> DataError:
        document = self._opened.document
        if self._whole and offset >= self._base + len(self._text.rstrip()):
            problem, remedy = "it breaks off before its end", "is the file whole? export, copy or download it again"
        return DataError(document.location, problem, remedy, document.place(offset, column=True))


def mended(text: str) -> str:
    """A text that :class:`Scanner` gave, with its characters decoded."""
    try:
        return text if text.isascii() else text.encode("iso8859-1").decode()
    except UnicodeError:  # it was written with escapes, which are decoded already
        return text


def _signature(file: IO[bytes]) -> tuple[int, int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns, status.st_ino
