"""Frozen dataclasses that cost nothing to define.

``@dataclass(frozen=True)`` writes and compiles six methods for each class, two milliseconds in all, and every start of
the program would pay that for each kind of spec. A record shares one set of methods with all others; it is a dataclass
all the same: ``dataclasses.fields`` and ``dataclasses.replace`` take it.
"""

from __future__ import annotations

from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from typing import Any, NoReturn, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """Makes a frozen dataclass of a class, as ``@dataclass(frozen=True)`` does."""
    for name, method in _METHODS.items():
        setattr(cls, name, method)
    made = dataclass(init=False, repr=False, eq=False)(cls)
    found = fields(made)  # type: ignore[arg-type]
    made._names = tuple(each.name for each in found)  # type: ignore[attr-defined]
    made._defaults = {  # type: ignore[attr-defined]
        each.name: each.default if each.default is not MISSING else each.default_factory
        for each in found
        if each.default is not MISSING or each.default_factory is not MISSING
    }
    made._hashed = tuple(each.name for each in found if each.hash is not False)  # type: ignore[attr-defined]
    made._made_anew = frozenset(  # type: ignore[attr-defined]
        each.name for each in found if each.default_factory is not MISSING
    )
    return made


def _init(self: Any, *values: Any, **named: Any) -> None:
    """Takes the fields by position or by name.

    Raises:
        TypeError: One is missing, unknown, or given twice.
    """
    names, what = self._names, type(self).__name__
    if len(values) > len(names):
        raise TypeError(f"{what} takes {len(names)} values, and {len(values)} were given")
    given = dict(zip(names, values, strict=False))
    if twice := given.keys() & named.keys():
        raise TypeError(f"{what} got {', '.join(sorted(twice))} twice")
    if unknown := named.keys() - set(names):
        raise TypeError(f"{what} has no {', '.join(sorted(unknown))}; it takes: {', '.join(names)}")
    content = self.__dict__
    content.update(self._defaults, **given)
    content.update(named)
    if len(content) != len(names):
        raise TypeError(f"{what} needs {', '.join(name for name in names if name not in content)}")
    for name in self._made_anew:
        if name not in given and name not in named:
            content[name] = content[name]()


def _repr(self: Any) -> str:
    return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self._names)})"


def _eq(self: Any, other: object) -> Any:
    return self.__dict__ == other.__dict__ if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(tuple(getattr(self, name) for name in self._hashed))


def _frozen(self: Any, name: str, *value: Any) -> NoReturn:
    raise FrozenInstanceError(f"a {type(self).__name__} cannot be changed: make another with dataclasses.replace")


_METHODS = {
    "__init__": _init,
    "__repr__": _repr,
    "__eq__": _eq,
    "__hash__": _hash,
    "__setattr__": _frozen,
    "__delattr__": _frozen,
}
