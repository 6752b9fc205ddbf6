"""The journal of an annotation session: edits that are not saved yet, which survive a kill.

It is a hidden file next to the annotations, JSON, one object per line. The first line is the header; each other line is
one edit, undo or redo. A line that was cut off by a crash is the last, and is ignored.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import IO, Any, Final

from boxwright.errors import DataError
from boxwright.schemas import Boxes, Sample
from boxwright.storage.filesystem import is_folder
from boxwright.storage.locks import take
from boxwright.storage.uri import base_name, join, parent

VERSION: Final = 1
NAME: Final = ".boxwright-annotate.jsonl"


def journal_path(location: str) -> str:
    """Returns the path of the journal of a dataset: in its folder, or next to its file."""
    return join(location, NAME) if is_folder(location) else join(parent(location), f".{base_name(location)}{NAME}")


class Journal:
    """Edits on disk, each flushed before the call returns.

    Only one session at a time has the journal of a dataset open.

    Args:
        path: The file.
        uri: The URI of the dataset, with its format; stored in the first line.

    Attributes:
        lines: The lines of an earlier session, which did not save them.

    Raises:
        DataError: Another session has it open, it cannot be read, it is not a journal, or one of another format.
    """

    def __init__(self, path: str, uri: str) -> None:
        self.path = path
        self._uri = uri
        try:
            self._file: IO[bytes] = open(path, "a+b", buffering=0, opener=_open_no_link)  # noqa: SIM115  # see close
        except OSError as error:
            problem = f"the journal of edits cannot be written: {error.strerror or error}"
            raise DataError(path, problem, "make its folder writable, or copy the dataset") from None
        if not take(self._file):
            self._file.close()
            raise DataError(
                path, "the dataset is being annotated already", "use that window, or end the other `boxwright annotate`"
            )
        try:
            self.lines = list(self._read())
            if not self.lines:
                self._file.truncate(0)
                self.add({"boxwright_annotate": VERSION, "uri": uri})
                self._start = os.fstat(self._file.fileno()).st_size
        except OSError as error:
            self._file.close()
            raise DataError(path, f"the journal of edits cannot be written: {error.strerror or error}") from None
        except BaseException:
            self._file.close()
            raise

    def now(self) -> int:
        """Returns the time by the clock of the file system, in nanoseconds."""
        os.utime(self.path)
        return os.fstat(self._file.fileno()).st_mtime_ns

    def _read(self) -> Iterator[dict[str, Any]]:
        self._file.seek(0)
        whole, rest = 0, self._file.read()
        for number, line in enumerate(rest.splitlines(keepends=True), start=1):
            if not line.endswith(b"\n"):
                break
            try:
                content = json.loads(line)
                if not isinstance(content, dict) or (number == 1 and content.get("boxwright_annotate") != VERSION):
                    raise ValueError("it is not a journal of this version")
            except (ValueError, RecursionError) as error:
                raise DataError(
                    self.path, f"the journal is damaged: {error}", "remove it, which loses its edits", f"line {number}"
                ) from None
            whole += len(line)
            if number > 1:
                yield content
                continue
            self._start, uri = whole, str(content.get("uri", self._uri))
            same = uri.partition(":")[0] == self._uri.partition(":")[0]
            if not same and rest[whole:].endswith(b"\n"):
                raise DataError(self.path, f"it has edits of {uri}", "save them: annotate that, in the same format")
        self._file.truncate(whole)

    def add(self, content: Mapping[str, Any]) -> None:
        """Adds one line, completely or not at all.

        Raises:
            OSError: It cannot be written.
        """
        rest = json.dumps(content, separators=(",", ":")).encode() + b"\n"
        end = self._file.seek(0, os.SEEK_END)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except BaseException:
            self._file.truncate(end)
            raise

    def restart(self) -> None:
        """Removes all edits, after a save."""
        self._file.truncate(self._start)

    def close(self, *, remove: bool) -> None:
        """Closes the file, and removes it if there is nothing to keep."""
        if remove and os.name != "nt":  # before another session can lock it
            os.remove(self.path)
        self._file.close()
        if remove and os.name == "nt":
            os.remove(self.path)


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def state_of(sample: Sample) -> dict[str, Any]:
    """Returns what edits change of a sample, as values for JSON."""
    boxes = sample.boxes
    rows = [
        [label, *box, dict(attributes)]
        for label, box, attributes in zip(boxes.labels, boxes.coordinates, boxes.attributes, strict=True)
    ]
    return {"boxes": rows, "attributes": dict(sample.attributes)}


def with_state(sample: Sample, state: Mapping[str, Any]) -> Sample:
    """Returns a sample with what :func:`state_of` returned.

    Raises:
        ValueError: The state is invalid.
    """
    rows = state["boxes"]
    boxes = Boxes([row[0] for row in rows], [tuple(row[1:5]) for row in rows], [row[5] for row in rows])
    return sample.replace(boxes=boxes, attributes=dict(state["attributes"]))
