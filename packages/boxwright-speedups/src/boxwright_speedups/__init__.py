"""The loops of boxwright that gain most from being compiled: COCO's annotations and Pascal VOC XML, read.

The plugins ``boxwright-coco`` and ``boxwright-voc`` use this distribution if it is installed. There is nothing to call:
each function handles the usual input of a Python function, which handles the rest and is the fallback. A function that
changes what it takes or returns also changes its name, so that a plugin of another version uses its fallback.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

__all__ = ["coco_rows", "parse_layout", "state"]

coco_rows: Callable[[bytes, int, int, dict[bytes, int], Callable[[bytes], int]], tuple[Any, ...]] | None = None
"""For ``boxwright_coco.annotations``; ``None`` if it is not in use."""

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
        coco_rows, parse_layout, state = _compiled.coco_rows, _compiled.parse_layout, "in use"
