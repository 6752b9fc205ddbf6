"""Texts of XML elements as numbers; light, so that files in a known layout are read without any XML library."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LENGTH = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
_LONGEST = 32


def scalar(text: str) -> int | float | str:
    """A number where writing it gives the same text again, else the text (``"007"`` stays as it is)."""
    if len(text) > 24 or not NUMBER.fullmatch(text):
        return text
    value: int | float = int(text) if text.lstrip("+-").isdigit() else float(text)
    return value if repr(value) == text else text


def number(text: str) -> int | float:
    """A text that :data:`NUMBER` matches, as a number."""
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def each(value: Any, change: Callable[[Any], Any]) -> Any:
    """Changes an element's value, or each one of an element that stands several times."""
    return [change(one) for one in value] if isinstance(value, list) else change(value)


def is_length(value: object) -> bool:
    """Whether a value is a text that says a number of pixels, such as ``"1.50"``, which :func:`scalar` leaves."""
    return isinstance(value, str) and len(value) <= _LONGEST and bool(_LENGTH.fullmatch(value))


def lengths(place: Any) -> Any:
    """What ``<bndbox>`` or ``<point>`` says, all of it as numbers."""
    if not isinstance(place, dict):
        return place
    return {key: number(value) if is_length(value) else value for key, value in place.items()}


def with_lengths(part: Any) -> Any:
    """What ``<part>`` says, with its place as numbers."""
    return part | {"bndbox": lengths(part["bndbox"])} if isinstance(part, dict) and "bndbox" in part else part
