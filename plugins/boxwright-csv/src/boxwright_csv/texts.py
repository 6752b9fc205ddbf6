"""The fields and lines of a CSV file to write."""

from __future__ import annotations

import re
from collections.abc import Sequence

from boxwright import DataError, Sample
from boxwright.datasets import Output

_SPECIAL = re.compile(r'[,"\r\n]')
_KEPT = 1 << 14
BATCH = 64
"""Lines per batch; more are not faster, and would use memory."""


class Lines:
    r"""The lines of a UTF-8 file with ``\n``, written in batches.

    Args:
        output: The file.
        header: The column names; empty for a file without a header.

    Attributes:
        pending: Lines, with their line ends, that are not written yet.
    """

    def __init__(self, output: Output, header: Sequence[str] = ()) -> None:
        self._file = output.open()
        self.pending = [",".join(header) + "\n"] if header else []

    def flush(self) -> None:
        """Writes the pending lines."""
        self._file.write("".join(self.pending).encode())
        self.pending.clear()

    def add(self, lines: Sequence[str]) -> None:
        """Adds the lines of an image, and writes the pending lines if they are enough for a batch."""
        self.pending.extend(lines)
        if len(self.pending) > BATCH:
            self.flush()

    def close(self) -> None:
        """Finishes the file."""
        self.flush()
        self._file.close()


class Fields(dict[str, str]):
    """A cache of texts as fields; see :func:`quoted`. Leading and trailing white space is an error."""

    def __missing__(self, text: str) -> str:
        if text != text.strip():
            raise ValueError(f"{text!r} begins or ends with white space, which readers strip")
        field = quoted(text)
        if len(self) < _KEPT:
            self[text] = field
        return field


class Numbers(dict[float, str]):
    """A cache of numbers as text: a lookup takes a fifth of the time of formatting, and most numbers are integers."""

    def __missing__(self, number: float) -> str:
        text = str(int(number)) if number == int(number) else repr(float(number))
        if len(self) < _KEPT:
            self[number] = text
        return text


def quoted(text: str) -> str:
    """Returns a field as in RFC 4180: in quotes if it contains a comma, a quote or a line end.

    Raises:
        ValueError: The text cannot be written as UTF-8.
    """
    if not text.isascii():
        text.encode()
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


def unsupported(sample: Sample, error: Exception) -> DataError:
    """Returns the error for a sample with a text or value that the format cannot represent."""
    problem = str(error)
    if isinstance(error, UnicodeEncodeError):
        problem = f"{error.object[:80]!r} cannot be written as UTF-8"
    return DataError(
        sample.source or sample.image.name, problem, "change it in the source, or skip the image with --on-error skip"
    )
