"""Progress as bars on a terminal, and as an occasional line elsewhere, so that a log stays short."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from boxwright_cli.text import duration, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from boxwright import Task

_SECONDS_BETWEEN_LINES = 30.0


class TerminalReporter:
    """The :class:`boxwright.Reporter` of the command line.

    Args:
        console: The console of stderr. Bars are drawn only if it is a terminal; they disappear when the work is done.
        quiet: Whether to show only warnings, without bars, lines and messages.
    """

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._progress: Progress | None = None
        self._running = 0

    @contextmanager
    def task(self, description: str, total: int | None = None) -> Iterator[Task]:
        """Shows the progress of a task; nested tasks are shown together."""
        if self._quiet:
            yield _SilentTask()
        elif self._console.is_terminal:
            yield from self._bar(description, total)
        else:
            line = _LineTask(self._console, description, total)
            yield line
            line.finish()

    def message(self, text: str) -> None:
        """Prints a paragraph, above the bars."""
        if not self._quiet:
            self._console.print(printable(text), soft_wrap=True)

    def warning(self, text: str) -> None:
        """Prints a paragraph that starts with ``warning:``."""
        self._console.print(f"warning: {printable(text)}", style="yellow", soft_wrap=True)

    def _bar(self, description: str, total: int | None) -> Iterator[Task]:
        if self._progress is None:
            self._progress = _bars(self._console)
            self._progress.start()
        progress = self._progress
        identity = progress.add_task(printable(description), total=total, note="")
        self._running += 1
        try:
            yield _BarTask(progress, identity)
        finally:
            progress.refresh()  # short work would otherwise never be shown
            progress.remove_task(identity)
            self._running -= 1
            if not self._running:
                progress.stop()
                self._progress = None


class _SilentTask:
    def advance(self, steps: int = 1) -> None:
        pass

    def update(self, *, total: int | None = None, note: str | None = None) -> None:
        pass


class _BarTask:
    def __init__(self, progress: Progress, identity: TaskID) -> None:
        self._progress, self._identity = progress, identity

    def advance(self, steps: int = 1) -> None:
        self._progress.advance(self._identity, steps)

    def update(self, *, total: int | None = None, note: str | None = None) -> None:
        if total is not None:
            self._progress.update(self._identity, total=total)
        if note is not None:
            self._progress.update(self._identity, note=printable(note))


class _LineTask:
    """A task without a terminal: prints a line every 30 seconds, and one at the end if there was any before."""

    def __init__(self, console: Console, description: str, total: int | None) -> None:
        self._console, self._description, self._total = console, printable(description), total
        self._done, self._note = 0, ""
        self._started = self._last = time.monotonic()

    def advance(self, steps: int = 1) -> None:
        self._done += steps
        now = time.monotonic()
        if now - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = now
            self._print(now)

    def update(self, *, total: int | None = None, note: str | None = None) -> None:
        self._total = total if total is not None else self._total
        self._note = printable(note) if note is not None else self._note

    def finish(self) -> None:
        if self._last != self._started:
            self._print(time.monotonic())

    def _print(self, now: float) -> None:
        of = f" of {self._total:,}" if self._total is not None else ""
        note = f", {self._note}" if self._note else ""
        spent = duration(now - self._started)
        self._console.print(f"{self._description}: {self._done:,}{of} in {spent}{note}", soft_wrap=True)


def _bars(console: Console) -> Progress:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn as Column,
        Task as RichTask,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.text import Text

    class Rate(Column):
        def render(self, task: RichTask) -> Text:
            speed = task.speed
            if not speed:
                return Text("")
            return Text(
                f"{speed:,.0f}/s" if speed >= 10 else f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each"
            )

    class TimeLeft(Column):
        max_refresh = 0.5

        def render(self, task: RichTask) -> Text:
            left = task.time_remaining
            return Text("" if left is None or task.total is None else f"{duration(round(left))} left", style="cyan")

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeElapsedColumn(),
        TimeLeft(),
        TextColumn("{task.fields[note]}", markup=False, style="dim"),
        console=console,
        transient=True,
    )
