"""Attributes as JSON text."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from json.encoder import encode_basestring
from typing import Any, Final

OWN: Final = "boxwright"
"""The key for what COCO cannot represent: ``{"edges": [...], "attributes": {...}}``.
It has coordinates if ``bbox`` cannot restore them exactly, and attributes if their name is already a key."""

EMPTY: Final[dict[str, Any]] = {"info": {}, "licenses": []}
"""Keys of every written file, with their values for no content."""

LISTS: Final = ("images", "annotations")
"""Keys of the lists of a file that are read and written element by element."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})

quoted = encode_basestring
"""Returns a text in double quotes for JSON, with non-ASCII characters unchanged."""


def encoded(text: str) -> bytes:
    r"""Returns JSON text as UTF-8. Unpaired surrogates, which UTF-8 cannot encode, become escapes (``\udc80``)."""
    return text.encode("utf-8", "backslashreplace")


def json_text(value: Any) -> str:
    """Returns a value as JSON.

    Raises:
        ValueError: JSON cannot represent it: it is not finite, or not text, a number, a list or a dict.
    """
    kind = type(value)
    if kind is str:
        return quoted(value)
    if kind is int:
        return str(value)
    try:
        if _is_plain(value):
            return _ENCODER.encode(value)
    except RecursionError:
        raise ValueError("it is nested too deeply for JSON") from None
    raise ValueError(f"it is (or contains) a {kind.__name__} that JSON cannot represent")


def members(attributes: Mapping[str, Any], reserved: Container[str], coordinates: list[float] | None = None) -> str:
    """Returns attributes as further members of an object: ``,"KEY":VALUE,...``.

    Attributes with ``reserved`` names, and coordinates, are members of boxwright's own key.

    Raises:
        ValueError: JSON cannot represent one.
    """
    text = left = ""
    for key, value in attributes.items():
        member = f",{json_text(key)}:{named_text(key, value)}"
        if key in reserved:
            left += member
        else:
            text += member
    own = f',"edges":{json_text(coordinates)}' if coordinates is not None else ""
    if left:
        own += f',"attributes":{{{left[1:]}}}'
    return f'{text},"{OWN}":{{{own[1:]}}}' if own else text


def named_text(key: str, value: Any) -> str:
    """Returns the same as :func:`json_text`; the error names the attribute."""
    try:
        return json_text(value)
    except ValueError as error:
        raise ValueError(f"the attribute {key!r} cannot be written: {error}") from None


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind is list:
        return set(map(type, value)) <= _SCALARS or all(map(_is_plain, value))
    if kind is dict:
        return all(type(key) is str for key in value) and all(map(_is_plain, value.values()))
    return kind in _SCALARS
