"""The files of a report: the page, and the same numbers as CSV."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType
from typing import Self

from boxwright.errors import UsageError
from boxwright.render.pages import page_output
from boxwright.storage.output import AtomicOutput, commit_together


class ReportFiles:
    """The page and the CSV file of a report, of which all that were requested are written, or none.

    Use it as a context manager around the work for them.

    Args:
        page: The page, ``.html``; ``None`` for none.
        table: The CSV file; ``None`` for none.
        overwrite: Whether to replace existing files.

    Raises:
        UsageError: The page does not end in ``.html``, or both are the same file.
        OutputError: A file exists and ``overwrite`` is false, or it cannot be written.
    """

    def __init__(
        self, page: str | os.PathLike[str] | None, table: str | os.PathLike[str] | None, *, overwrite: bool
    ) -> None:
        if page is not None and table is not None and os.path.realpath(page) == os.path.realpath(table):
            raise UsageError(f"{os.fspath(table)} cannot be both the page and the CSV file", "choose another --csv")
        self._outputs: dict[str, AtomicOutput] = {}
        try:
            if page is not None:
                self._outputs["page"] = page_output(page, overwrite=overwrite)
            if table is not None:
                self._outputs["table"] = AtomicOutput(os.fspath(table), overwrite=overwrite)
        except BaseException:
            self._abort()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._abort()

    def _abort(self) -> None:
        for output in self._outputs.values():
            output.abort()

    def write(self, page: Callable[[], str], table: Callable[[], str]) -> None:
        """Writes what was requested; ``page`` and ``table`` return the contents."""
        for name, make in (("page", page), ("table", table)):
            if output := self._outputs.get(name):
                content = make().encode()
                with output.open() as file:
                    file.write(content)
        if self._outputs:
            commit_together(list(self._outputs.values()))
