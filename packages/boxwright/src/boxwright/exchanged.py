"""Edges in the wrong order, exchanged by readers that were told to, and counted so that it does not go unsaid."""

from __future__ import annotations

from boxwright.schemas import Edges

count = 0
"""How many boxes :func:`in_order` has mended in this process; a conversion says how many there were in it."""


def in_order(edges: Edges) -> Edges:
    """A box's edges in the right order: for readers with the option ``inverted=swap``."""
    global count
    count += 1
    xmin, ymin, xmax, ymax = edges
    return (min(xmin, xmax), min(ymin, ymax), max(xmin, xmax), max(ymin, ymax))
