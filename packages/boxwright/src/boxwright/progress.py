"""Progress of long work: a reporter is passed down, and the command line passes one that draws progress bars."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import logging


def logger() -> logging.Logger:
    """The logger ``boxwright``; the library is imported by the first message, for most commands have none."""
    import logging

    return logging.getLogger("boxwright")


class Task(Protocol):
    """One bar."""

    def advance(self, steps: int = 1) -> None:
        """Says that so many more steps are done."""
        ...

    def update(self, *, total: int | None = None, note: str | None = None) -> None:
        """Changes the total or the note at the bar's end."""
        ...


class Reporter(Protocol):
    """Where progress and messages go."""

    def task(self, description: str, total: int | None = None) -> AbstractContextManager[Task]:
        """A context manager around one piece of long work; ``total`` is ``None`` where it is not known."""
        ...

    def message(self, text: str) -> None:
        """Something that a person should read; one paragraph."""
        ...

    def warning(self, text: str) -> None:
        """Something that a person should look at."""
        ...


class _SilentTask:
    def advance(self, steps: int = 1) -> None:
        pass

    def update(self, *, total: int | None = None, note: str | None = None) -> None:
        pass


class LogReporter:
    """The reporter of the Python API: no bars, messages go to the logger ``boxwright``."""

    @contextmanager
    def task(self, description: str, total: int | None = None) -> Iterator[Task]:
        """Logs that the work starts."""
        logger().debug("%s (%s)", description, total if total is not None else "unknown length")
        yield _SilentTask()

    def message(self, text: str) -> None:
        """Logs at level INFO."""
        logger().info(text)

    def warning(self, text: str) -> None:
        """Logs at level WARNING."""
        logger().warning(text)
