"""The innermost loops of boxwright, compiled.

boxwright looks for this distribution by itself; there is nothing to call. Each function here has a twin in Python that
gives the same answers, so that everything works without it, and slower.
"""

from __future__ import annotations

from types import ModuleType

VERSION: int = 1
"""Of what the functions take and answer: boxwright uses them only where it knows this number."""

compiled: ModuleType | None
"""The module of the functions, or ``None`` where there was no C compiler when this was built."""

try:
    from boxwright_speedups import _compiled as compiled
except ImportError:
    compiled = None
