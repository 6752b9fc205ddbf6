"""What happens to items that cannot be read."""

from __future__ import annotations

from boxwright.errors import DataError, UsageError


class Problems:
    """What ``on_error`` makes of items that cannot be read.

    With ``"fail"`` the first one is raised. With ``"skip"`` each is kept once in :attr:`skipped`, however often the
    dataset is read, and reading continues.
    """

    def __init__(self, on_error: str = "fail") -> None:
        if on_error not in ("fail", "skip"):
            raise UsageError(f"on_error is {on_error!r}", "give fail or skip")
        self.on_error = on_error
        self._skipped: dict[str, DataError] = {}

    def __call__(self, error: DataError) -> None:
        """Raises or keeps one error."""
        if self.on_error == "fail":
            raise error
        self._skipped.setdefault(error.message, error)

    @property
    def skipped(self) -> list[DataError]:
        """Every item that was left out, in the order of its first reading."""
        return list(self._skipped.values())
