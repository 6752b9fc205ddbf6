"""The lines of a CSV file as rows of fields, with the columns found by name."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import IO, Any

from boxwright import DataError
from boxwright.storage import filesystem, is_remote, open_regular
from boxwright_csv.dialects import DIALECTS, Dialect

_DELIMITERS = (",", ";", "\t")
_LARGEST_HEADER = 1 << 16
_LONGEST_LINE = 16 << 20


class Table:
    """A CSV file whose first line has been read.

    The columns may be in any order, in upper or lower case, separated by commas, semicolons or tabs. The encoding is
    UTF-8, with or without a byte order mark, or UTF-16 with one.

    Args:
        location: A path, or a URL that fsspec opens.
        dialects: The dialects to try.

    Attributes:
        dialect: The dialect of the file.
        columns: The index of each required and optional column.
        extra: The index of each additional column.

    Raises:
        DataError: The file does not exist, is empty, or does not match a dialect: a required column is missing or a
            duplicate.
    """

    def __init__(self, location: str, dialects: Sequence[Dialect] = DIALECTS) -> None:
        self.location = location
        with self._open_bytes() as file:
            start = file.read(4)
            file.seek(0)
            self._encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
            first = self._first_line(file, dialects)
        self.dialect, self._delimiter, names = self._recognized(first, dialects)
        self._has_header = self.dialect.is_header(names)
        if not self._has_header:
            names = list(self.dialect.required)
        self._width = len(names)
        self.columns: dict[str, int] = {}
        self.extra: dict[str, int] = {}
        for position, name in enumerate(names):
            known = self.dialect.known(name)
            columns = self.columns if known else self.extra
            key = known or name
            if key in columns:
                raise DataError(location, f"duplicate column {name!r}", "remove or rename one", "line 1")
            if key:
                columns[key] = position

    def rows(self) -> Iterator[tuple[int, list[str] | DataError]]:
        """Yields each row with its physical line, counted from 1; blank rows are skipped.

        An invalid row is yielded as an error.

        Raises:
            DataError: The file does not match its encoding.
        """
        with self._open_bytes() as binary, io.TextIOWrapper(binary, self._encoding, newline="") as text:
            reader = csv.reader(self._lines(text), delimiter=self._delimiter, strict=True)
            width, skip = self._width, self._has_header
            while True:
                line = reader.line_num + 1
                try:
                    row = next(reader)
                except StopIteration:
                    return
                except UnicodeDecodeError:
                    raise self._not_text() from None
                except csv.Error as error:
                    yield line, self._error(f"it cannot be read as CSV: {error}", "check the quotes in it", line)
                    continue
                if skip:
                    skip = False
                    continue
                if not any(row):  # a blank line, or an empty row of a spreadsheet
                    continue
                if len(row) == width:
                    yield line, row
                else:
                    expected = f"but the header has {width}" if self._has_header else f"not {width}"
                    yield (
                        line,
                        self._error(
                            f"it has {len(row)} fields, {expected}",
                            "put names with commas in double quotes, and write every column",
                            line,
                        ),
                    )

    def _lines(self, text: IO[str]) -> Iterator[str]:
        """Yields the lines. A line without end would fill the memory, which a small archive can contain."""
        number = 0
        while line := text.readline(_LONGEST_LINE):
            number += 1
            if len(line) == _LONGEST_LINE:
                raise self._error(
                    f"it has more than {_LONGEST_LINE:,} characters", "check that it is a CSV file", number
                )
            yield line

    def _error(self, problem: str, remedy: str, line: int) -> DataError:
        return DataError(self.location, problem, remedy, f"line {line}")

    def _open_bytes(self) -> IO[bytes]:
        try:
            if is_remote(self.location):
                self._files, path = filesystem(self.location)  # kept: a zip file is closed with its file system
                file: Any = self._files.open(path, "rb")
                return io.BytesIO(file.read()) if not file.seekable() else file
            return open(self.location, "rb", opener=open_regular)
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            problem = "file not found" if missing else f"it cannot be read: {error.strerror or error}"
            raise DataError(self.location, problem, "check the path") from None

    def _first_line(self, file: IO[bytes], dialects: Sequence[Dialect]) -> str:
        try:
            with io.TextIOWrapper(file, self._encoding, newline="") as text:
                line = text.readline(_LARGEST_HEADER)
        except UnicodeDecodeError:
            raise self._not_text() from None
        if not line.strip():
            raise DataError(
                self.location,
                "the file is empty" if not line else "its first line is blank",
                f"begin it with {','.join(dialects[0].header)}",
            )
        return line

    def _recognized(self, line: str, dialects: Sequence[Dialect]) -> tuple[Dialect, str, list[str]]:
        """Returns the dialect, the delimiter, and the fields of the first line."""
        best: tuple[int, Dialect, list[str]] = (-1, dialects[0], [])
        for delimiter in _DELIMITERS:
            try:
                fields = [field.strip() for field in next(csv.reader([line], delimiter=delimiter), [])]
            except csv.Error:  # a field that is too long for the csv module
                continue
            for dialect in dialects:
                if dialect.is_header(fields) or dialect.is_row(fields):
                    return dialect, delimiter, fields
                found = len(dialect.required) - len(dialect.missing(fields))
                if found > best[0]:
                    best = (found, dialect, fields)
        _, dialect, fields = best
        header = ",".join(dialect.header)
        if dialect.needs_header:
            problem = f"the header has no column {', '.join(dialect.missing(fields))}; it has: {', '.join(fields)}"
            raise DataError(self.location, problem, f"use the columns {header}", "line 1")
        problem = f"its first line does not have the fields {header}: {line.strip()[:80]}"
        raise DataError(self.location, problem, "write them in this order, or read it as another format", "line 1")

    def _not_text(self) -> DataError:
        place = ""
        if self._encoding == "utf-8-sig":
            with self._open_bytes() as file:
                for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), start=1):
                    try:
                        line.decode()
                    except UnicodeDecodeError:
                        place = f"line {number}"
                        break
        name = self._encoding.removesuffix("-sig").upper()
        return DataError(self.location, f"it is not {name}", "save it as UTF-8", place)
