"""Every error that boxwright raises on purpose.

::

    BoxwrightError
    ├── UsageError              a wrong option, URI or combination; exit code 2
    ├── DataError               one item of a dataset is wrong: file, place, problem, remedy
    ├── OutputError             the target exists, cannot be written, or would lose something
    │   └── LossError           --strict, and the target format cannot carry everything
    ├── PluginError             a plugin failed, clashes, or is not compatible
    │   ├── PluginNotFoundError no plugin of that kind and name
    │   └── MissingLibraryError the plugin is there and its library is not
    ├── RunError                a run folder is missing, broken, in use, or of another backend
    ├── WorkerDiedError         a process that does part of the work crashed, or was killed
    ├── EngineError             a cluster cannot be reached, or one of its machines cannot do the work
    └── ExportError             an exported model does not do what its run does

Each has a ``message`` (the problem) and a ``remedy`` (what to do), and prints as both.
"""

from __future__ import annotations

_LONGEST = 2000
_BEGIN, _END = 1000, 300


class BoxwrightError(Exception):
    """Base of all errors that are answers to a user, not bugs.

    Args:
        message: The problem, and where it is.
        remedy: What the user can do about it; empty if there is nothing to do.
    """

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        message, remedy = shortened(message), shortened(remedy)
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  -> {self.remedy}" if self.remedy else self.message


def shortened(text: str) -> str:
    """Returns a message without the middle of lines of more than 2,000 characters, such as names of 64 KB."""
    if len(text) <= _LONGEST:
        return text
    lines = text.split("\n")
    return "\n".join(line if len(line) <= _LONGEST else f"{line[:_BEGIN]} ... {line[-_END:]}" for line in lines)


class UsageError(BoxwrightError):
    """The command or call itself is wrong: an unknown option, a malformed URI, a value out of range."""

    exit_code = 2


class DataError(BoxwrightError):
    """One item of a dataset cannot be used.

    Args:
        file: The file (or URL) that contains the item.
        problem: The problem.
        remedy: What to do.
        place: Where in the file: ``line 12``, ``record 3``, ``object 2 (fig)``; empty for the whole file.
    """

    def __init__(self, file: object, problem: str, remedy: str = "", place: str = "") -> None:
        self.file = str(file)
        self.place = shortened(place)
        self.problem = shortened(problem)
        where = f"{self.file}, {self.place}" if place else self.file
        super().__init__(f"{where}: {self.problem}", remedy)

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.file, self.problem, self.remedy, self.place))


class NotAnnotatedError(DataError):
    """A folder contains images, and no annotations yet."""


class OutputError(BoxwrightError):
    """The output cannot be written where it was asked for; nothing was changed there."""


class LossError(OutputError):
    """The target format cannot hold everything that the source has, and ``strict`` was asked for."""


class PluginError(BoxwrightError):
    """A plugin could not be loaded, clashes with another, or does not fit this version of boxwright."""


class PluginNotFoundError(PluginError):
    """No plugin of that kind and name is installed."""

    exit_code = 2


class MissingLibraryError(PluginError):
    """A plugin is installed and a library that it needs is not."""


class RunError(BoxwrightError):
    """A run folder is missing, incomplete, in use by another process, or made by something else."""


class ExportError(BoxwrightError):
    """An exported model does not do what its run does."""


class WorkerDiedError(BoxwrightError):
    """A process that does part of the work ended before it was done: it crashed, or was killed."""


class EngineError(BoxwrightError):
    """A cluster cannot be reached, or one of its machines cannot do the work."""
