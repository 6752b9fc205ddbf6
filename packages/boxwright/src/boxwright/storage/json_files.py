"""Parses JSON strictly, with errors that name the file and the line."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from boxwright.errors import DataError


def parse_json(content: bytes, source: str, remedy: str = "") -> Any:
    """Returns the content of a JSON file.

    Args:
        content: The file; UTF-8, UTF-16 or UTF-32, with or without byte order mark.
        source: Its location, for messages.
        remedy: A further remedy, for messages.

    Raises:
        DataError: It is empty, or not JSON as RFC 8259 defines it (``NaN`` is not), or nested too deeply.
    """
    place, problem = "", ""
    try:
        return _DECODER.decode(content.decode(json.detect_encoding(content)))
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}" if content.strip() else ""
        problem = f"it is not valid JSON: {error.msg}" if content.strip() else "the file is empty"
    except UnicodeDecodeError as error:
        problem = f"it is not {error.encoding.upper()} text"
    except RecursionError:
        problem = "it is nested too deeply"
    except ValueError as error:  # NaN, or a number with more digits than Python converts
        problem = f"it is not valid JSON: {error}"
    raise DataError(source, problem, "repair the file, or export it again" + (f", {remedy}" if remedy else ""), place)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
"""One for all: each has a reference cycle, which keeps it in memory for a while."""
