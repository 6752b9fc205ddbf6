"""The meaning of the values of arguments and options: what recipes check and track, and what shells complete."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import MethodType, NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from typer.models import ParameterInfo

Completer = Callable[[typer.Context, str], list[tuple[str, str]]]


@dataclass(frozen=True)
class Meaning:
    """The meaning of a value.

    Attributes:
        what: ``"dataset"``, ``"model"``, ``"inputs"``, ``"file"`` or ``"folder"`` for a place, ``"settings"`` for
            options of the plugin in another option, ``"preset"``, a kind of plugin, or ``"kind"``, ``"plugin"``,
            ``"environment"`` or ``"weights"`` for such a name. Another step of a recipe refers to an output by this
            name, as in ``${train.run}``.
        role: What the command does with a place: it reads it, writes it, or changes it.
    """

    what: str
    role: Literal["", "reads", "writes", "changes"] = ""

    def complete(self, ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        """Returns values that begin with ``incomplete``, each with one line about it."""
        from boxwright_cli.completion import candidates

        return candidates(self.what, ctx, incomplete)


def names(kind: str) -> Completer:
    """Marks a value that names a plugin of a kind, with its options; pass it as ``autocompletion``."""
    return Meaning(kind).complete


def reads(what: str) -> Completer:
    """Marks a place that the command reads."""
    return Meaning(what, "reads").complete


def writes(what: str) -> Completer:
    """Marks a place that the command writes."""
    return Meaning(what, "writes").complete


def changes(what: str) -> Completer:
    """Marks a place that the command reads and changes."""
    return Meaning(what, "changes").complete


def types_of(command: Any) -> dict[str, type]:
    """Returns the types of a command's parameters by name; of one value if there can be several."""
    found: dict[str, type] = {}
    for name, parameter in inspect.signature(inspect.unwrap(command.callback), eval_str=True).parameters.items():
        declared = get_args(parameter.annotation)[:1] if get_origin(parameter.annotation) is Annotated else ()
        while declared and (parts := [part for part in get_args(declared[0]) if part is not NoneType]):
            declared = (parts[0],)
        if declared and isinstance(declared[0], type):
            found[name] = declared[0]
    return found


def meanings_of(command: Any) -> dict[str, Meaning]:
    """Returns the meanings of a command's parameters that have one, by the name of the parameter."""
    found: dict[str, Meaning] = {}
    for name, parameter in inspect.signature(inspect.unwrap(command.callback), eval_str=True).parameters.items():
        for extra in get_args(parameter.annotation)[1:]:
            mark = extra.autocompletion if isinstance(extra, ParameterInfo) else None
            if isinstance(mark, MethodType) and isinstance(mark.__self__, Meaning):
                found[name] = mark.__self__
    return found
