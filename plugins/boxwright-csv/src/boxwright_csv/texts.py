"""Fields and lines of a CSV file that is written."""

from __future__ import annotations

import re
from collections.abc import Sequence

from boxwright import DataError, Sample
from boxwright.datasets import Output

_SPECIAL = re.compile(r'[,"\r\n]')
_KEPT = 1 << 14
BATCH = 64
"""Lines that are gathered; more are no faster, and would be kept in memory."""


class Lines:
    r"""The lines of a file in UTF-8 with ``\n``, gathered and written in batches.

    Args:
        output: The file.
        header: The columns' names; none for a file without a header.

    Attributes:
        pending: Lines, with their ends, that are not written yet.
    """

    def __init__(self, output: Output, header: Sequence[str] = ()) -> None:
        self._file = output.open()
        self.pending = [",".join(header) + "\n"] if header else []

    def flush(self) -> None:
        """Writes the pending lines."""
        self._file.write("".join(self.pending).encode())
        self.pending.clear()

    def add(self, lines: Sequence[str]) -> None:
        """Adds the lines of a picture, and writes what is pending if it is enough for a batch."""
        self.pending.extend(lines)
        if len(self.pending) > BATCH:
            self.flush()

    def close(self) -> None:
        """Finishes the file."""
        self.flush()
        self._file.close()


class Fields(dict[str, str]):
    """Texts as fields, kept; see :func:`quoted`. They come back as they are, so that white space around is refused."""

    def __missing__(self, text: str) -> str:
        if text != text.strip():
            raise ValueError(f"{text!r} begins or ends with white space, which reading takes away")
        field = quoted(text)
        if len(self) < _KEPT:
            self[text] = field
        return field


class Numbers(dict[float, str]):
    """Numbers as text, kept: looking one up takes a fifth of the time of formatting it, and most are whole."""

    def __missing__(self, number: float) -> str:
        text = str(int(number)) if number == int(number) else repr(float(number))
        if len(self) < _KEPT:
            self[number] = text
        return text


def quoted(text: str) -> str:
    """A field as RFC 4180 wants it: in quotes where it holds a comma, a quote or a line end.

    Raises:
        ValueError: It cannot be written as UTF-8.
    """
    if not text.isascii():
        text.encode()
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


def unfit(sample: Sample, error: Exception) -> DataError:
    """The error for a sample with a text or value that the format cannot hold."""
    problem = str(error)
    if isinstance(error, UnicodeEncodeError):
        problem = f"{error.object[:80]!r} cannot be written as UTF-8"
    return DataError(
        sample.source or sample.image.name, problem, "change it in the source, or skip the picture with --on-error skip"
    )
