"""The loop of boxwright that gains most from being compiled: Pascal VOC XML, read.

The plugin ``boxwright-voc`` uses this distribution if it is installed. There is nothing to call: the
function handles the usual input of a Python function, which handles the rest and is the fallback. A function that
changes what it takes or returns also changes its name, so that a plugin of another version uses its fallback.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

__all__ = ["parse_layout", "state"]

parse_layout: Callable[[bytes], tuple[Any, ...] | None] | None = None
"""For ``boxwright_voc.xml.parsing``; ``None`` if it is not in use."""

state: str
"""``"in use"``, or the reason why not and the remedy."""

if os.environ.get("BOXWRIGHT_SPEEDUPS") == "0":
    state = "switched off by BOXWRIGHT_SPEEDUPS=0"
else:
    try:
        from boxwright_speedups import _compiled
    except ImportError:
        state = "built without a C compiler; with one, run: python -m pip install boxwright-speedups --force-reinstall"
    else:
        parse_layout, state = _compiled.parse_layout, "in use"
