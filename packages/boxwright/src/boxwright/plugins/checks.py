"""Checks that the fields of a spec have the types that it declares."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_Check = Callable[[Any], bool]


def wrong_field(spec: Any) -> str:
    """Returns the problem with a field of a spec, or of an option in it; empty if all have the declared types."""
    for name, default, check, hint in _fields(type(spec)):  # type: ignore[arg-type]  # classes are hashable
        value = getattr(spec, name)
        if value is default:
            continue
        if not check(value):
            return f"{name} is {value!r:.80}, not {hint}"
        for item in value if type(value) is tuple else (value,):
            if is_dataclass(item) and (problem := wrong_field(item)):
                return f"{name}: {problem}"
    return ""


@cache
def _fields(kind: type) -> list[tuple[str, object, _Check, str]]:
    hints = get_type_hints(kind, localns={})  # an attribute may be named like a type
    return [(each.name, each.default, _check(hints[each.name]), _text(hints[each.name])) for each in fields(kind)]


def _text(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)


@cache
def _check(hint: Any) -> _Check:
    """Returns the check of a value against a type hint."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return lambda value: any(type(value) is type(each) and value == each for each in arguments)
    if origin is type:
        return lambda value: value is arguments[0]
    if hint in (Any, object):
        return lambda value: True
    if hint is float:
        return lambda value: isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return lambda value: type(value) is int
    if not arguments:
        return lambda value: isinstance(value, hint)
    inner = [_check(each) for each in arguments if each is not ...]
    if origin in (Union, types.UnionType):
        return lambda value: any(check(value) for check in inner)
    if origin is Mapping:
        key, item = inner
        return lambda value: isinstance(value, Mapping) and all(key(k) and item(v) for k, v in value.items())
    return lambda value: isinstance(value, origin) and all(map(inner[0], value))
