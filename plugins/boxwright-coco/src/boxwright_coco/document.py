"""Reads a JSON file in pieces, so that memory does not grow with it.

JSON: RFC 8259 (https://www.rfc-editor.org/rfc/rfc8259). The structure of a file is ASCII, so the bytes
are scanned as ISO 8859-1, one character per byte: positions in the text are then offsets in the file. Values with other
characters are decoded from their offset by :meth:`OpenDocument.decode`.
"""

from __future__ import annotations

import io
import json
import os
import re
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from json.scanner import make_scanner
from types import TracebackType
from typing import IO, Any, Final

import msgspec

from boxwright import DataError
from boxwright.storage import MAX_DATASET_BYTES, is_remote, open_regular, read_file

_WINDOW: Final = 1 << 18
_TOGETHER: Final = 64  # the number of elements that are decoded at once
_BLOCK: Final = 1 << 20
_NEAR_THE_END: Final = 16  # longer than any literal, number prefix or escape that a window's end can cut
_SPACE = re.compile(rb"[ \t\n\r]*")
_COMMA = re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
_BETWEEN_OBJECTS = re.compile(rb"\}[ \t\n\r]*,[ \t\n\r]*\{")
_AFTER_OBJECTS = re.compile(rb"\}[ \t\n\r]*\]")
_MARKS: Final = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
_DECODER = json.JSONDecoder()
_SCAN = make_scanner(_DECODER)  # type: ignore[arg-type]  # the same as the decoder's own

UNREADABLE: Final = (msgspec.MsgspecError, ValueError, OverflowError, RecursionError)
"""The errors of msgspec for JSON that is damaged, or has other types."""

Take = Callable[[bytes, list[int]], bool]
"""Takes the elements of an array, given their offsets in the file; returns false if it cannot."""


class Document:
    """A JSON file that can be opened repeatedly.

    UTF-8 is read from the file; UTF-16 and UTF-32, and files at URLs, are kept in memory.

    Args:
        location: A path, or a URL that fsspec opens.
        content: Its bytes, if they are available.

    Raises:
        DataError: The file does not exist, is empty, or is not text.
    """

    def __init__(self, location: str, content: bytes | None = None) -> None:
        self.location = location
        self._content = content
        if content is None and is_remote(location):
            self._content = read_file(location, "check the URL", limit=MAX_DATASET_BYTES)
            if self._content is None:
                raise DataError(location, "file not found", "check the URL")
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
            DataError: The file can no longer be read, or has changed.
        """
        if self._content is not None:
            return OpenDocument(self, io.BytesIO(self._content), self._start)
        file = self._opened()
        if _signature(file) != self._signature:
            file.close()
            raise DataError(self.location, "the file changed while it was in use", "open the dataset again")
        return OpenDocument(self, file, self._start)

    def _opened(self) -> IO[bytes]:
        try:
            return open(self.location, "rb", buffering=0, opener=open_regular)
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            problem = "file not found" if missing else f"it cannot be read: {error.strerror or error}"
            remedy = "pass the JSON file in it" if isinstance(error, IsADirectoryError) else "check the path"
            raise DataError(self.location, problem, remedy) from None

    def _transcoded(self, encoding: str) -> bytes:
        content = self._content
        if content is None:
            with self._opened() as file:
                content = file.read()
        try:
            return content.decode(encoding).encode()
        except UnicodeError:
            raise DataError(self.location, f"it is not {encoding.upper()}", "save it as UTF-8") from None

    def place(self, offset: int, column: bool = False) -> str:
        """Returns ``line 3`` or ``line 3 column 7``, as in an editor; an empty string for a file with a single line."""
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
        """The number of line ends before each block, and in total."""
        counts, total, position = [0], 0, 0
        with self.open() as file:
            while data := file.read(position, _BLOCK):
                total += data.count(b"\n")
                counts.append(total)
                position += len(data)
        return counts


class OpenDocument:
    """The bytes of a document. Offsets are relative to the beginning of the file.

    The file is closed when the object is no longer used, or at the end of a ``with`` block.
    """

    def __init__(self, document: Document, file: IO[bytes], start: int) -> None:
        self.document = document
        self.start = start
        self._file = file
        self._lock = threading.Lock()
        self._descriptor = file.fileno() if hasattr(os, "pread") and isinstance(file, io.FileIO) else None
        weakref.finalize(self, file.close)

    def __enter__(self) -> OpenDocument:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._descriptor = None
        self._file.close()

    def read(self, offset: int, size: int) -> bytes:
        """Returns ``size`` bytes, or fewer at the end.

        Raises:
            DataError: The file cannot be read.
        """
        try:
            if self._descriptor is not None:
                content = os.pread(self._descriptor, size, offset)
                if len(content) == size:
                    return content
            with self._lock:  # samples may be used in several threads
                self._file.seek(offset)
                content = self._file.read(size)
                while len(content) < size and (more := self._file.read(size - len(content))):
                    content += more  # a read may return less than was requested
                return content
        except OSError as error:
            raise DataError(self.document.location, f"it cannot be read: {error.strerror}", "check the disk") from None

    def decode(self, start: int, end: int) -> Any:
        """Returns the value between two offsets, with its strings decoded.

        Raises:
            ValueError: The value is not UTF-8, or nested too deeply.
        """
        return _decoded(self.read(start, end - start))


def _decoded(content: bytes) -> Any:
    if content.startswith(b"{"):
        with suppress(*UNREADABLE):
            return msgspec.json.decode(content[: content.rfind(b"}") + 1])
    try:  # it is unusual, or invalid
        return _DECODER.raw_decode(content.decode())[0]
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


class Elements:
    """Reads elements of an array again, by number; consecutive ones are read many at a time.

    Args:
        file: The document.
        starts: The offset of each, and finally that of the end of the array.
    """

    def __init__(self, file: OpenDocument, starts: Sequence[int]) -> None:
        self._file = file
        self._starts = starts
        self._content = b""
        self._base = 0
        self._next = -1
        self._rows: list[Any] = []
        self._first = 0

    def __getitem__(self, number: int) -> Any:
        """Returns an element with its strings decoded.

        Raises:
            ValueError: The value is not UTF-8, or nested too deeply.
        """
        if not 0 <= number - self._first < len(self._rows):
            follows = number == self._first + len(self._rows)
            rows = self._some_from(number) if follows else []
            if not rows:
                self._first, self._rows = number + 1, []  # the next one may begin a batch
                return _decoded(self.text(number))
            self._first, self._rows = number, rows
        return self._rows[number - self._first]

    def _some_from(self, number: int) -> list[Any]:
        """Returns several elements, decoded together; an empty list if they must be decoded one by one."""
        count = min(_TOGETHER, len(self._starts) - 1 - number)
        start, end = self._starts[number], self._starts[number + count]
        if end - start > _WINDOW:
            return []
        content = self._file.read(start, end - start)
        with suppress(*UNREADABLE):
            rows = msgspec.json.decode(b"[%b]" % content[: content.rfind(b"}") + 1])
            if isinstance(rows, list) and len(rows) == count and all(type(row) is dict for row in rows):
                return rows
        return []

    def text(self, number: int) -> bytes:
        """Returns the bytes of an element, and those after it up to the next one."""
        start, end = self._starts[number], self._starts[number + 1]
        is_next, self._next = number == self._next, number + 1
        if not self._base <= start <= end <= self._base + len(self._content):
            if not is_next or end - start > _WINDOW:
                return self._file.read(start, end - start)
            self._base, self._content = start, self._file.read(start, _WINDOW)
        return self._content[start - self._base : end - self._base]


class Scanner:
    """A cursor over a document, which returns one value after another."""

    def __init__(self, file: OpenDocument) -> None:
        self._opened = file
        self._data = b""
        self._base = file.start
        self._at = 0
        self._whole = False  # whether the window reaches to the end of the file

    @property
    def offset(self) -> int:
        """The offset of the cursor."""
        return self._base + self._at

    def peek(self) -> str:
        """Moves to the next character that is not white space, and returns it; an empty string at the end."""
        while True:
            self._at = _SPACE.match(self._data, self._at).end()  # type: ignore[union-attr]  # also matches an empty string
            if self._at < len(self._data):
                return chr(self._data[self._at])
            if self._whole:
                return ""
            self._fill(_WINDOW)

    def take(self, *expected: str) -> str:
        """Returns the next character that is not white space, which must be one of these, and skips it.

        Raises:
            DataError: It is another character.
        """
        found = self.peek()
        if found not in expected or not found:
            raise self._error(f"it is not JSON: expected {' or '.join(expected)}", self.offset)
        self._at += 1
        return found

    def value(self) -> tuple[Any, int, int]:
        """Returns the value at the cursor, its start and its end, and skips it.

        Only ASCII strings are correct.

        Raises:
            DataError: There is no value, or it is not JSON.
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
                problem = "it is nested too deeply" if deep else "an integer has thousands of digits"
                raise self._error(problem, self.offset, "check that the file is a dataset") from None
            else:
                # Near the end a number may continue: 12 of 12.5e3.
                if self._whole or end < len(self._text) - _NEAR_THE_END:
                    start = self.offset
                    self._at = end
                    return value, start, self.offset
                problem, position = "", end
            unterminated = problem.startswith("unterminated string")
            if self._whole or not (unterminated or position >= len(self._text) - _NEAR_THE_END):
                place = len(self._text) if unterminated else position
                raise self._error(f"it is not JSON: {problem}", self._base + place)
            self._fill(max(_WINDOW, 2 * (len(self._text) - self._at)))

    def members(self) -> Iterator[str]:
        """Yields the keys of the object at the cursor; after each, the caller reads the value.

        Raises:
            DataError: It is not an object, or has a duplicate key.
        """
        self.take("{")
        seen: set[str] = set()
        if self.peek() == "}":
            self._at += 1
            return
        while True:
            if self.peek() != '"':
                raise self._error("it is not JSON: expected a key in double quotes", self.offset)
            _, start, end = self.value()
            key = self.decoded(start, end)
            if key in seen:
                raise DataError(
                    self._opened.document.location,
                    f"duplicate key {key!r}",
                    "remove one of them",
                    self._opened.document.place(start),
                )
            seen.add(key)
            self.take(":")
            yield key
            if self.take(",", "}") == "}":
                return

    def elements(self, take: Take | None = None) -> Iterator[tuple[list[Any], list[int]]]:
        """Yields the elements of the array at the cursor, many at a time, with the offset of each.

        Args:
            take: Gets the elements first; those that it takes are not yielded.

        Raises:
            DataError: It is not an array, or is damaged.
        """
        self.take("[")
        if self.peek() == "]":
            self._at += 1
            return
        scan, comma = _SCAN, _COMMA.match
        while True:
            if take is not None and self._hand_over(take):
                if self.take(",", "]") == "]":
                    return
                if not self._whole:
                    self._fill(_WINDOW)  # so that the next element is not cut off
                self.peek()
                continue
            rows: list[Any] = []
            starts: list[int] = []
            text, base, at = self._text, self._base, self._at
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
                pass  # the window ends here, or it is not JSON, which self.value() finds out
            self._at = at
            row, start, end = self.value()
            one = b"[%b]" % self._data[start - self._base : end - self._base]
            if rows or take is None or not take(one, [start]):
                yield [*rows, row], [*starts, start]
            if self.take(",", "]") == "]":
                return
            self.peek()

    def _hand_over(self, take: Take) -> bool:
        """Passes on the elements of the window, except for one that is cut off, if all are objects.

        What looks like a boundary of elements may be in a string or a nested array. But if the text before it is an
        array with as many elements as there are boundaries, each of them ends an element.
        """
        gaps = [*_BETWEEN_OBJECTS.finditer(self._data, self._at)]
        if self._take_until(gaps, take):
            return True
        end = _AFTER_OBJECTS.search(self._data, self._at)
        return end is not None and self._take_until([*[gap for gap in gaps if gap.start() < end.start()], end], take)

    def _take_until(self, ends: list[re.Match[bytes]], take: Take) -> bool:
        if not ends:
            return False
        starts = [self.offset, *[self._base + each.end() - 1 for each in ends[:-1]]]
        stop = ends[-1].start() + 1
        if not take(b"[%b]" % self._data[self._at : stop], starts):
            return False
        self._at = stop
        return True

    def finish(self) -> None:
        """Checks that nothing follows.

        Raises:
            DataError: Something follows.
        """
        if self.peek():
            raise self._error("it is not JSON: there is text after its end", self.offset)

    def decoded(self, start: int, end: int) -> Any:
        """Returns the value between two offsets, with its strings decoded.

        Raises:
            DataError: The value is not UTF-8.
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
        self.__dict__.pop("_text", None)

    @cached_property
    def _text(self) -> str:
        """The window, one character per byte."""
        return self._data.decode("iso8859-1")

    def _error(self, problem: str, offset: int, remedy: str = "export it again") -> DataError:
        document = self._opened.document
        if self._whole and offset >= self._base + len(self._text.rstrip()):
            problem, remedy = "the file is truncated", "export, copy or download it again"
        return DataError(document.location, problem, remedy, document.place(offset, column=True))


def decoded_text(text: str) -> str:
    """Returns a text of :class:`Scanner` with its characters decoded."""
    try:
        return text if text.isascii() else text.encode("iso8859-1").decode()
    except UnicodeError:  # it contained escapes, which are already decoded
        return text


def _signature(file: IO[bytes]) -> tuple[int, int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns, status.st_ino
