r"""Checks of text, which may have unpaired surrogates (from JSON such as ``"\ud800"``), and guesses at wrong names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Final

from boxwright.errors import DataError

HIDDEN: Final = "***"
"""What stands for a secret in :func:`without_secrets`."""
_LOGIN = re.compile(r"""(?:(?<=http://)|(?<=https://))[^\s/?#'"]+(?=@)|(?<=://)[^\s/?#'"]*:[^\s/?#'"]*(?=@)""")
_SECRET = re.compile(
    r"(?i)(?<=[?&])([\w.%-]*(?:token|secret|passw|pwd|api_?key|access_?key|signature|credential)[\w.%-]*|sig|key)="
    r"[^\s&#'\"]+"
)


def without_secrets(text: str) -> str:
    """Returns a text in which logins in URLs, and tokens in their queries, are replaced by ``***``."""
    return _SECRET.sub(rf"\1={HIDDEN}", _LOGIN.sub(HIDDEN, text))


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


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Returns ``did you mean 'learning_rate'? `` for a misspelled or abbreviated name; empty if none is close.

    Args:
        name: The name that is not known.
        names: Those that are.
    """
    known = list(names)
    close = difflib.get_close_matches(name, known, n=1)
    initials = [each for each in known if "".join(re.findall(r"(?:^|[_-])(.)", each)) == name.lower()]
    inside = [each for each in known if len(name) > 2 and name.lower() in each.lower()]
    found = close or initials or inside
    return f"did you mean {found[0]!r}? " if found else ""
