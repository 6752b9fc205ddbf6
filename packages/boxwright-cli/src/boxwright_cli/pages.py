"""Help pages: plain text, laid out for somebody who reads them for the first time.

The usage line shows what has to be given, required options included; then one sentence, examples, and every argument
and option with its default.
"""

from __future__ import annotations

import inspect
from typing import Any

from typer.core import TyperCommand, TyperGroup

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


def _name(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())
