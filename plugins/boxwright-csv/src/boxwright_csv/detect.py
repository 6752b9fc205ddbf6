"""Tells whether a location looks like a CSV of boxes, and of which dialect."""

from __future__ import annotations

from boxwright import DataError
from boxwright.plugins import Detection
from boxwright_csv.dialects import OPENIMAGES, RETINANET, TUTORIAL, VIA, Dialect
from boxwright_csv.table import Table


def detect(location: str) -> Detection:
    """Looks for the tutorials' header."""
    return _detected(location, TUTORIAL)


def detect_openimages(location: str) -> Detection:
    """Looks for Open Images' header."""
    return _detected(location, OPENIMAGES)


def detect_retinanet(location: str) -> Detection:
    """Looks for a first row of keras-retinanet's."""
    return _detected(location, RETINANET)


def detect_via(location: str) -> Detection:
    """Looks for VGG Image Annotator's header."""
    return _detected(location, VIA)


def _detected(location: str, dialect: Dialect) -> Detection:
    if not location.lower().endswith((".csv", ".tsv", ".txt")):
        return Detection(False, "its name does not end in .csv")
    try:
        table = Table(location)
    except DataError as error:
        return Detection(False, error.problem)
    if table.dialect is not dialect:
        return Detection(False, f"its columns are {table.dialect.title}")
    if dialect.needs_header:
        return Detection(True, f"its header has {', '.join(dialect.required)}")
    return Detection(True, f"its rows have the fields {', '.join(dialect.required)}")
