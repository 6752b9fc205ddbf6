"""Tells whether a location looks like a CSV of boxes."""

from __future__ import annotations

from boxwright.errors import DataError
from boxwright.specs import Detection
from boxwright_csv.table import Table


def detect(location: str) -> Detection:
    """Looks at the header line."""
    if not location.lower().endswith((".csv", ".tsv", ".txt")):
        return Detection(False, "its name does not end in .csv")
    try:
        table = Table(location)
    except DataError as error:
        return Detection(False, error.problem)
    return Detection(True, f"its header has {', '.join(table.required)}")
