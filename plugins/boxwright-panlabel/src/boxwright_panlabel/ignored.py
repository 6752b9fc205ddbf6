"""Annotations that panlabel leaves out, or gets wrong, silently. This module searches the file for them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

CHECKED: Final = frozenset({"openlabel", "vott-json"})
"""The formats for which :func:`ignored` looks."""

_OPENLABEL: Final = {
    "rbbox": "rotated boxes (rbbox)",
    "poly2d": "polygons (poly2d)",
    "point2d": "points (point2d)",
    "cuboid": "cuboids (cuboid)",
    "area_reference": "areas (area_reference)",
    "line_reference": "lines (line_reference)",
}


def ignored(name: str, file: str) -> Iterator[str]:
    """Yields what panlabel ignores in a file: ``"regions without a tag: 3"``.

    Args:
        name: The name of the format.
        file: The local file, which panlabel has read.
    """
    try:
        with open(file, "rb") as binary:
            content = json.load(binary)
    except (OSError, ValueError, RecursionError):  # panlabel has read it: it is one of the other kinds of file
        return
    if name == "openlabel":
        counts: Counter[str] = Counter()
        _count(content, counts)
        yield from (f"{_OPENLABEL[key]}: {count}" for key, count in sorted(counts.items()))
    else:
        count = sum(not region.get("tags") for region in _regions(content))
        if count:
            yield f"regions without a tag: {count}"


def _count(content: Any, counts: Counter[str]) -> None:
    pending = [content]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            for key, each in value.items():
                if key in _OPENLABEL and isinstance(each, list):
                    counts[key] += len(each)
                pending.append(each)
        elif isinstance(value, list):
            pending.extend(value)


def _regions(content: Any) -> Iterator[dict[str, Any]]:
    assets = content.get("assets", {}) if isinstance(content, dict) else {}
    for entry in assets.values() if isinstance(assets, dict) else assets if isinstance(assets, list) else ():
        regions = entry.get("regions") if isinstance(entry, dict) else None
        yield from (each for each in regions or () if isinstance(each, dict))
