"""The lines of a CSV file as rows of fields, with the column names sorted out."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import IO, Any, Final

from boxwright.errors import DataError
from boxwright.uri import is_remote

REQUIRED: Final = ("filename", "class", "xmin", "ymin", "xmax", "ymax")
OPTIONAL: Final = ("width", "height")
_DELIMITERS = (",", ";", "\t")
_LARGEST_HEADER = 1 << 16


class Table:
    """A CSV file whose header has been read.

    The header's names may stand in any order, with upper or lower case, separated by comma, semicolon or tab. The
    encoding is UTF-8, with or without a byte-order mark, or UTF-16 with one.

    Args:
        location: A path, or a URL that fsspec opens.

    Attributes:
        columns: Where each required and optional column stands.
        extra: The other columns' names and where they stand.

    Raises:
        DataError: There is no such file, it is empty, or a required column is missing or stands twice.
    """

    required = REQUIRED

    def __init__(self, location: str) -> None:
        self.location = location
        with self._open_bytes() as file:
            start = file.read(4)
            file.seek(0)
            self._encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
            header = self._header_line(file)
        self._delimiter, names = self._fields(header)
        self._width = len(names)
        self.columns: dict[str, int] = {}
        self.extra: dict[str, int] = {}
        for position, name in enumerate(names):
            known = name.lower() in REQUIRED or name.lower() in OPTIONAL
            columns = self.columns if known else self.extra
            key = name.lower() if known else name
            if key in columns:
                raise DataError(location, f"the column {name!r} stands twice", "remove or rename one", "line 1")
            if key:
                columns[key] = position

    def rows(self) -> Iterator[tuple[int, list[str] | DataError]]:
        """Yields each row with its physical line, counted from 1; blank ones are left out.

        A row that is no good comes as the error that says why.

        Raises:
            DataError: The file is not in its encoding.
        """
        with self._open_bytes() as binary, io.TextIOWrapper(binary, self._encoding, newline="") as text:
            reader = csv.reader(text, delimiter=self._delimiter, strict=True)
            width = self._width
            next(reader)
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
                if not any(row):  # a blank line, or a row of a spreadsheet with nothing in it
                    continue
                if len(row) == width:
                    yield line, row
                else:
                    yield (
                        line,
                        self._error(
                            f"it has {len(row)} fields and the header {width}",
                            "put names with commas in double quotes, and write every column",
                            line,
                        ),
                    )

    def _error(self, problem: str, remedy: str, line: int) -> DataError:
        return DataError(self.location, problem, remedy, f"line {line}")

    def _open_bytes(self) -> IO[bytes]:
        try:
            if is_remote(self.location):
                import fsspec

                file: Any = fsspec.open(self.location, "rb").open()
                return io.BytesIO(file.read()) if not file.seekable() else file
            return open(self.location, "rb")
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            problem = "there is no such file" if missing else f"it cannot be read: {error.strerror or error}"
            raise DataError(self.location, problem, "check the path") from None

    def _header_line(self, file: IO[bytes]) -> str:
        try:
            with io.TextIOWrapper(file, self._encoding, newline="") as text:
                header = text.readline(_LARGEST_HEADER)
        except UnicodeDecodeError:
            raise self._not_text() from None
        if not header.strip():
            raise DataError(
                self.location,
                "the file is empty" if not header else "its first line is blank",
                f"begin it with {','.join((*REQUIRED[:1], *OPTIONAL, *REQUIRED[1:]))}",
            )
        return header

    def _fields(self, header: str) -> tuple[str, list[str]]:
        """The delimiter with which the header holds most of the columns that are needed, and the names."""
        best: tuple[int, str, list[str]] = (-1, "", [])
        for delimiter in _DELIMITERS:
            names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
            found = len({name.lower() for name in names}.intersection(REQUIRED))
            if found > best[0]:
                best = (found, delimiter, names)
        missing = [name for name in REQUIRED if name not in {found.lower() for found in best[2]}]
        if missing:
            raise DataError(
                self.location,
                f"the header has no column {', '.join(missing)}; it has: {', '.join(best[2])}",
                f"name the columns {','.join((*REQUIRED[:1], *OPTIONAL, *REQUIRED[1:]))}",
                "line 1",
            )
        return best[1], best[2]

    def _not_text(self) -> DataError:
        place = ""
        if self._encoding == "utf-8-sig":
            with self._open_bytes() as file:
                for number, line in enumerate(file, start=1):
                    try:
                        line.decode()
                    except UnicodeDecodeError:
                        place = f"line {number}"
                        break
        name = self._encoding.removesuffix("-sig").upper()
        return DataError(self.location, f"it is not {name} text", "save it as UTF-8", place)
