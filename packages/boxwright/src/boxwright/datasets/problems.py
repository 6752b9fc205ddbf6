"""What happens to items that cannot be read."""

from __future__ import annotations

import re

from boxwright.errors import DataError, UsageError

_LIMIT = re.compile(r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,9})?)(?P<percent>%?)")


class Problems:
    """What ``on_error`` makes of items that cannot be read.

    With ``"fail"`` the first one is raised. With ``"skip"`` each is kept once in :attr:`skipped`, however often the
    dataset is read, and reading continues. A limit, a number or a share such as ``"1%"``, is as ``"skip"`` until there
    are more.

    Args:
        on_error: ``"fail"``, ``"skip"`` or a limit.

    Attributes:
        on_error: ``"fail"`` or ``"skip"``; of a limit, ``"skip"`` unless it is 0.
        limit: The limit as given, or an empty text.
        total: The number of items, for a share; while it is not known, nothing is compared until :meth:`finish`.

    Raises:
        UsageError: It is something else.
    """

    def __init__(self, on_error: str = "fail") -> None:
        self.limit = ""
        if on_error not in ("fail", "skip"):
            match = _LIMIT.fullmatch(on_error)
            if match is None or (match["percent"] and float(match["number"]) > 100):
                raise UsageError(f"on_error is {on_error!r}", "give fail, skip, or a limit: 3, 1%")
            self.limit = on_error
            on_error = "skip" if float(match["number"]) else "fail"
        self.on_error = on_error
        self.total: int | None = None
        self._skipped: dict[str, DataError] = {}

    def __call__(self, error: DataError) -> None:
        """Raises or keeps one error."""
        if self.on_error == "fail":
            raise error
        self._skipped.setdefault(error.message, error)
        if self.limit and (self.total is not None or not self.limit.endswith("%")):
            self._check(self.total or 0)

    def finish(self, read: int) -> None:
        """Compares with the limit, after all items were read once.

        Args:
            read: The number of items that were read.

        Raises:
            DataError: There are more problems.
        """
        self.total = read + len(self._skipped)
        if self.limit and self._skipped:
            self._check(self.total)

    def _check(self, total: int) -> None:
        number = float(self.limit.rstrip("%"))
        allowed = int(total * number / 100) if self.limit.endswith("%") else int(number)
        if len(self._skipped) > allowed:
            first, *others = self._skipped.values()
            if not others:  # none may be left out
                raise first
            of = f" of {total:,}" if total else ""
            raise DataError(
                first.file,
                f"{first.problem} (and {len(others)} more that cannot be read);"
                f" at most {self.limit}{of} may be left out",
                f"{first.remedy}{', or ' if first.remedy else ''}allow more: --max-bad N or P%",
                first.place,
            )

    @property
    def skipped(self) -> list[DataError]:
        """Every item that was left out, in the order of its first reading."""
        return list(self._skipped.values())

    def describe(self) -> str:
        """Returns a warning that lists what was left out; empty if nothing was."""
        if not self._skipped:
            return ""
        shown = "; ".join(f"{error.file}: {error.problem}" for error in self.skipped[:10])
        more = f"; and {len(self._skipped) - 10} more" if len(self._skipped) > 10 else ""
        count = "1 item was" if len(self._skipped) == 1 else f"{len(self._skipped)} items were"
        return f"{count} left out: {shown}{more}"
