"""Converts between panlabel's attributes, which are text, and boxwright's, which are any plain values.

A field with a kind is written as that kind. If any attribute is possible, text is written unchanged, and anything else
as JSON; a text that looks like JSON, or that a format would trim, is written as a JSON string.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from boxwright_panlabel.bridges import ANY, Field

_UNPLAIN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_MADE_UP = "panlabel-"
_JSON_STARTS = frozenset('[{"-0123456789tfn')
_INT = re.compile(r"[+-]?[0-9]{1,18}")
_FLAGS = frozenset({"difficult", "truncated", "occluded", "iscrowd"})
_YES, _NO = ("1", "true", "yes"), ("0", "false", "no")


def is_plain(text: str) -> bool:
    """Returns whether every format of panlabel keeps a text: no surrounding white space, no control characters."""
    return bool(text) and text == text.strip() and not _UNPLAIN.search(text)


def read_attributes(given: Mapping[str, str], fields: Sequence[Field]) -> dict[str, Any]:
    """Returns boxwright's attributes for those of panlabel; keys that are not in the table keep their names."""
    own = {field.key: field for field in fields if field.name != ANY}
    prefix = next((field.key for field in fields if field.name == ANY), None)
    free: dict[str, Any] = {}
    found: dict[str, Any] = {}
    for key, text in given.items():
        if key not in own:
            stripped = key.removeprefix(prefix) if prefix is not None else key
            value = _flag(decode(text)) if stripped in _FLAGS else decode(text)
            if stripped not in _FLAGS or value != 0:
                free[stripped] = value
        elif own[key].name and (value := _read(own[key], text)) is not None:
            found[own[key].name] = value
    return free | found


def _read(field: Field, text: str) -> object:
    """Returns the value of a field; ``None`` for the default, and for values that panlabel generates."""
    value: object = text
    if field.kind == "int" and _INT.fullmatch(text):
        value = int(text)
    elif field.kind == "float":
        value = decode(text)
    elif field.kind == "flag":
        value = _flag(text)
    if value == field.default or text.startswith(_MADE_UP):
        return None
    # The attribute `id` is always a number.
    return None if field.name == "id" and not isinstance(value, int) else value


def _flag(value: object) -> object:
    text = str(value).strip().lower()
    return 1 if text in _YES else 0 if text in _NO else value


def write_attributes(given: Mapping[str, Any], fields: Sequence[Field]) -> dict[str, str]:
    """The attributes of panlabel for those of boxwright that the format carries.

    Raises:
        ValueError: A value does not match its field, or JSON cannot represent it.
    """
    own = {field.name: field for field in fields if field.written and field.name != ANY}
    prefix = next((field.key for field in fields if field.written and field.name == ANY), None)
    written: dict[str, str] = {}
    for name, value in given.items():
        field = own.get(name)
        if field is not None and value == field.default:
            continue
        text = None if field is None else _written(field, value)
        if field is not None and text is not None:
            written[field.key] = text
        elif prefix is not None:
            if not is_plain(name):
                raise ValueError(
                    f"the name of the attribute {name!r} has surrounding white space or control characters"
                )
            written[prefix + name] = encode(value)
        elif field is not None:
            raise ValueError(f"{name} is {value!r}, not {_KINDS[field.kind]}")
    return written


_KINDS = {"text": "plain text", "int": "an integer", "float": "a number", "flag": "0 or 1"}
_RANGES = {"flag": range(2), "int": range(-(1 << 31), 1 << 31)}


def _written(field: Field, value: object) -> str | None:
    """Returns a value in the notation of its field, or ``None`` if it does not match."""
    if field.kind == "text":
        is_valid = isinstance(value, str) and is_plain(value) and not value.startswith(_MADE_UP)
        return str(value) if is_valid else None
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    if field.kind == "float":
        return repr(float(value)) if value % 1 else str(int(value))
    return str(int(value)) if value % 1 == 0 and int(value) in _RANGES[field.kind] else None


def encode(value: object) -> str:
    """Returns any plain value as a text that :func:`decode` restores.

    Raises:
        ValueError: JSON cannot represent it.
    """
    if isinstance(value, str) and is_plain(value) and isinstance(decode(value), str) and value[0] != '"':
        return value
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"JSON cannot represent {value!r}: {error}") from None


def decode(text: str) -> Any:
    """Returns the value of a text if it is JSON, otherwise the text."""
    if text[:1] not in _JSON_STARTS:
        return text
    try:
        return json.loads(text, parse_float=_finite, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        return text


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _reject_constant(text: str) -> float:
    raise ValueError(text)
