"""Attributes as JSON text."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from json.encoder import encode_basestring
from typing import Any, Final

OWN: Final = "boxwright"
"""The key under which boxwright's writer keeps what COCO has no place for: ``{"edges": [...], "attributes": {...}}``.
Edges are there where ``bbox`` cannot give them back to the last bit, attributes where their name is that of a key."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})

quoted = encode_basestring
"""A text in double quotes, as JSON wants it, with other than ASCII characters as they are."""


def encoded(text: str) -> bytes:
    r"""JSON text as UTF-8. Halves of characters, which UTF-8 cannot hold, become escapes (``\udc80``)."""
    return text.encode("utf-8", "backslashreplace")


def json_text(value: Any) -> str:
    """A value as JSON that gives the same again.

    Raises:
        ValueError: No JSON does: it is not finite, or neither text, number, list nor dict.
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
    raise ValueError(f"it is (or holds) a {kind.__name__} that JSON cannot hold")


def members(attributes: Mapping[str, Any], reserved: Container[str], edges: list[float] | None = None) -> str:
    """Attributes as members of an object that has some already: ``,"KEY":VALUE,...``.

    Those whose names are ``reserved`` for something else, and edges, go under boxwright's own key.

    Raises:
        ValueError: JSON cannot hold one.
    """
    text = left = ""
    for key, value in attributes.items():
        member = f",{json_text(key)}:{named_text(key, value)}"
        if key in reserved:
            left += member
        else:
            text += member
    own = f',"edges":{json_text(edges)}' if edges is not None else ""
    if left:
        own += f',"attributes":{{{left[1:]}}}'
    return f'{text},"{OWN}":{{{own[1:]}}}' if own else text


def named_text(key: str, value: Any) -> str:
    """As :func:`json_text`; the error names the attribute."""
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
