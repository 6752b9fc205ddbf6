"""Loggers that write files with the standard library alone."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from boxwright import OutputError, Run, hookimpl
from boxwright.storage import write_atomically


class CsvLogger:
    """Writes one row per epoch, with a column for each value that any epoch has.

    Args:
        path: The file; ``None`` for ``log.csv`` in the run folder.
    """

    def __init__(self, path: str | None = None) -> None:
        self._path = path

    @hookimpl
    def boxwright_run_started(self, run: Run) -> None:
        """Checks that the file is new, or that of this run, which is continued.

        Raises:
            OutputError: It is another file.
        """
        path, rows = self._file(run), run.metrics()
        # The training may have been killed before the last row was written.
        if path.exists() and path.read_bytes() not in (_table(rows), _table(rows[:-1])):
            raise OutputError(f"{path} exists already, and is not the log of this run", "choose another file")

    @hookimpl
    def boxwright_epoch_ended(self, run: Run) -> None:
        """Writes the rows of all epochs, because a new value is a new column, and a repeated epoch replaces its row."""
        path = self._file(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, _table(run.metrics()))

    def _file(self, run: Run) -> Path:
        return run.file("log.csv") if self._path is None else Path(self._path)


def _table(rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = csv.DictWriter(text, columns)
    table.writeheader()
    table.writerows(rows)
    return text.getvalue().encode()


class JsonLinesLogger:
    """Appends one JSON object per event, with its time and the run; several trainings may share a file.

    Args:
        path: The file; ``None`` for ``log.jsonl`` in the run folder.
    """

    def __init__(self, path: str | None = None) -> None:
        self._path = path

    @hookimpl
    def boxwright_run_started(self, run: Run, config: Mapping[str, Any]) -> None:
        """Writes all settings."""
        self._write(run, "started", {"config": config})

    @hookimpl
    def boxwright_epoch_ended(self, run: Run, epoch: int, metrics: Mapping[str, float]) -> None:
        """Writes the values of an epoch."""
        self._write(run, "epoch", {"epoch": epoch, "metrics": metrics})

    @hookimpl
    def boxwright_run_measured(self, run: Run, data: str, values: Mapping[str, float]) -> None:
        """Writes the final metrics."""
        self._write(run, "measured", {"data": data, "values": values})

    @hookimpl
    def boxwright_run_ended(self, run: Run, status: str, error: BaseException | None) -> None:
        """Writes how the training ended."""
        self._write(run, "ended", {"status": status, "error": None if error is None else type(error).__name__})

    def _write(self, run: Run, event: str, content: Mapping[str, Any]) -> None:
        path = run.file("log.jsonl") if self._path is None else Path(self._path)
        path.parent.mkdir(parents=True, exist_ok=True)
        line = {"time": datetime.now(UTC).isoformat(), "run": str(run.final_path), "event": event, **content}
        # The loss of a training that diverged is NaN, which JSON does not have.
        plain = json.loads(json.dumps(line, default=float), parse_constant=lambda _: None)
        text = json.dumps(plain, ensure_ascii=False, allow_nan=False) + "\n"
        # One call, so that lines of trainings that share the file are not mixed.
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            os.write(file, text.encode())
        finally:
            os.close(file)
