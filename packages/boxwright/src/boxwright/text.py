r"""Text that cannot be encoded: unpaired surrogates, from JSON such as ``"\ud800"`` and undecodable file names."""

from __future__ import annotations

from collections.abc import Iterable

from boxwright.errors import DataError


def is_text(text: str) -> bool:
    """Whether a text can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_classes(names: Iterable[str]) -> None:
    """Checks the classes of a dataset.

    Raises:
        DataError: One cannot be written as UTF-8.
    """
    for name in names:
        if not is_text(name):
            raise DataError("the classes", f"{name!r} contains an unpaired surrogate", "rename it in the source")
