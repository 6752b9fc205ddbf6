"""Help pages: plain text, laid out for somebody who reads them for the first time.

The usage line shows what has to be given, required options included; then one sentence, examples, and every argument
and option with its default.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, MutableMapping, Sequence
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

WIDTH = 100


class Page:
    """The part of a help page that commands and groups have in common."""

    help: str | None

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Writes the docstring; a paragraph with indented lines, such as examples, stays as it is."""
        formatter.write_paragraph()
        with formatter.indentation():
            for number, paragraph in enumerate(inspect.cleandoc(self.help or "").split("\n\n")):
                if number:
                    formatter.write_paragraph()
                verbatim = "\b\n" if "\n " in paragraph else ""  # the formatter's sign for "do not fill the lines"
                formatter.write_text(verbatim + paragraph)


class Group(Page, TyperGroup):
    """A group of commands."""


class Command(Page, TyperCommand):
    """A command whose help page looks like the others'."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """``RUN --data URI [OPTIONS]``: arguments, required options, and where the others go."""
        pieces = []
        for parameter in self.get_params(ctx):
            if parameter.param_type_name == "argument":
                pieces.append(_name(parameter))
            elif parameter.required:
                pieces.append(f"{parameter.opts[0]} {parameter.metavar or 'VALUE'}")
        return [*pieces, "[OPTIONS]"]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Two lists, arguments and options; those that have to be given come first."""
        parameters = self.get_params(ctx)
        arguments = [(_name(p), getattr(p, "help", None) or "") for p in parameters if p.param_type_name == "argument"]
        options = [p for p in parameters if p.param_type_name == "option"]
        records = [p.get_help_record(ctx) for p in sorted(options, key=lambda p: not p.required)]
        if arguments:
            with formatter.section("Arguments"):
                formatter.write_dl(arguments)
        with formatter.section("Options"):
            formatter.write_dl([record for record in records if record is not None])


class Commands(MutableMapping[str, Any]):
    """The commands of a group by name, each imported and built when it is asked for.

    Building one takes typer milliseconds, and most runs need one of them.

    Args:
        package: Where the modules are, each called like its command.
        commands: Those whose module has a function of its own name.
        groups: Those whose module has a ``typer.Typer`` called ``app``; they come last.
    """

    def __init__(self, package: str, commands: Sequence[str], groups: Sequence[str] = ()) -> None:
        self._package = package
        self._groups = groups
        self._built: dict[str, Any] = dict.fromkeys((*commands, *groups))

    def __getitem__(self, name: str) -> Any:
        if self._built[name] is None:
            self._built[name] = self._build(name)
        return self._built[name]

    def _build(self, name: str) -> Any:
        module = import_module(f"{self._package}.{name}")
        if name in self._groups:
            group = get_group(module.app)
            group.name = name
            return group
        app = typer.Typer(rich_markup_mode=None, add_completion=False)
        app.command(name, cls=Command)(getattr(module, name))
        return get_command(app)

    def __setitem__(self, name: str, command: Any) -> None:
        self._built[name] = command

    def __delitem__(self, name: str) -> None:
        del self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._built)

    def __len__(self) -> int:
        return len(self._built)


def _name(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())
