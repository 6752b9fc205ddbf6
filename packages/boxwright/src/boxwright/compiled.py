"""The compiled twins of the innermost loops, where the distribution ``boxwright-speedups`` is installed.

Code that has such a twin asks :data:`speedups` for it and does the work itself where that is ``None``, or where the
twin answers ``None`` because something is out of the ordinary. ``BOXWRIGHT_SPEEDUPS=0`` leaves them unused.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import Final

_VERSION: Final = 1
_INSTALL: Final = "python -m pip install boxwright-speedups"


def _found() -> tuple[ModuleType | None, str]:
    if os.environ.get("BOXWRIGHT_SPEEDUPS") == "0":
        return None, "switched off by BOXWRIGHT_SPEEDUPS=0"
    try:
        import boxwright_speedups
    except ImportError:
        return None, f"not installed; run: {_INSTALL}"
    version: int = boxwright_speedups.VERSION
    if version != _VERSION:
        return None, f"of another version than this boxwright; run: {_INSTALL} --upgrade"
    if boxwright_speedups.compiled is None:
        return None, f"built without a C compiler; with one, run: {_INSTALL} --force-reinstall"
    return boxwright_speedups.compiled, "in use"


_module, _state = _found()

speedups: Final = _module
"""The module of the compiled functions, or ``None``."""

state: Final = _state
"""``in use``, or why not and what to do."""
