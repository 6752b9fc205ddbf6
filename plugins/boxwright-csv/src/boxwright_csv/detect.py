"""Detects CSV files with boxes, and their dialect."""

from __future__ import annotations

from boxwright import DataError
from boxwright.plugins import Detection
from boxwright.storage import base_name
from boxwright_csv.dialects import OPENIMAGES, RETINANET, TUTORIAL, VIA, Dialect
from boxwright_csv.table import Table
from boxwright_csv.via_json import detect_json


def detect(location: str) -> Detection:
    """Detects the header of the tutorials."""
    return _detected(location, TUTORIAL)


def detect_openimages(location: str) -> Detection:
    """Detects the header of Open Images."""
    return _detected(location, OPENIMAGES)


def detect_retinanet(location: str) -> Detection:
    """Detects the first row of keras-retinanet."""
    return _detected(location, RETINANET)


def detect_via(location: str) -> Detection:
    """Detects the header of VGG Image Annotator, or its JSON."""
    return detect_json(location) if base_name(location).lower().endswith(".json") else _detected(location, VIA)


def _detected(location: str, dialect: Dialect) -> Detection:
    if not base_name(location).lower().endswith((".csv", ".tsv", ".txt")):
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
