"""Help pages in plain text, for readers who see them for the first time.

The usage line shows everything that is required, options included; a summary, examples, and every argument and option
with its default follow.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

WIDTH = 100
CALLED = "boxwright.called"
"""The key in the meta data of a context with the context of the command that ran."""

_MEANT = {
    **dict.fromkeys(("--conf", "--confidence", "--min-score", "--score-threshold", "--threshold"), "--score"),
    **dict.fromkeys(("--batch", "--bs"), "--batch-size"),
    **dict.fromkeys(("--imgsz", "--img", "--img-size", "--input-size", "--size"), "--image-size"),
    **dict.fromkeys(("--lr", "--learning-rate", "--lr0"), "--set learning_rate=..."),
    **dict.fromkeys(("--steps", "--num-steps", "--num-train-steps"), "--set steps=..."),
    **dict.fromkeys(("--output", "--output-dir", "--model-dir", "--project", "-o"), "--out"),
    **dict.fromkeys(("--force", "--exist-ok", "-f", "-y"), "--overwrite"),
    **dict.fromkeys(("--validation", "--val-data", "--test"), "--val"),
    **dict.fromkeys(("--train", "--dataset", "--train-data", "--source"), "--data"),
    **dict.fromkeys(("--names", "--classes", "--labels"), "--label-map"),
    **dict.fromkeys(("--step", "--transform"), "--with"),
}
"""Options of other programs, and what they are called here."""


class Page:
    """The part of a help page that commands and groups share."""

    help: str | None

    def get_params(self, ctx: Any) -> list[Any]:
        """Returns the arguments and options."""
        parameters: list[Any] = super().get_params(ctx)  # type: ignore[misc]  # of the class next to this one
        for parameter in parameters:
            _convert_late(parameter)
        return parameters

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Writes the docstring; paragraphs with indented lines, such as examples, are not wrapped."""
        formatter.write_paragraph()
        with formatter.indentation():
            for number, paragraph in enumerate(inspect.cleandoc(self.help or "").split("\n\n")):
                if number:
                    formatter.write_paragraph()
                verbatim = "\b\n" if "\n " in paragraph else ""  # tells the formatter not to wrap lines
                formatter.write_text(verbatim + paragraph)


class Group(Page, TyperGroup):
    """A group of commands."""


class Command(Page, TyperCommand):
    """A command with a help page in the style of this program."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the arguments; an option of another program is answered with the one that does the same here.

        Raises:
            typer.TyperException: The arguments are wrong.
        """
        try:
            return super().parse_args(ctx, args)
        except typer.TyperException as error:
            meant = _MEANT.get(getattr(error, "option_name", ""), "")
            if meant.partition(" ")[0] in {name for option in self.get_params(ctx) for name in option.opts}:
                error.possibilities = [meant]  # type: ignore[attr-defined]
            raise

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; the program finds how it was called under :data:`CALLED`.

        Raises:
            UsageError: The command was called with ``--save``, and cannot be a step of a recipe.
        """
        ctx.meta[CALLED] = ctx
        program = ctx.find_root()
        if (recipe := program.params.get("save")) is not None:
            from boxwright_cli.recipes.saving import check_target

            name = self.name if ctx.parent is program else ctx.parent.command.name
            check_target(recipe, str(name), program.command, ctx)
        return super().invoke(ctx)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Returns the usage line, such as ``RUN --data URI [OPTIONS]``: arguments, and required options."""
        pieces = []
        for parameter in self.get_params(ctx):
            if parameter.param_type_name == "argument":
                pieces.append(_name(parameter))
            elif parameter.required:
                pieces.append(f"{parameter.opts[0]} {parameter.metavar or 'VALUE'}")
        return [*pieces, "[OPTIONS]"]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes two lists, arguments and options, required ones first."""
        parameters = self.get_params(ctx)
        arguments = [(_name(p), getattr(p, "help", None) or "") for p in parameters if p.param_type_name == "argument"]
        options = [p for p in parameters if p.param_type_name == "option"]
        records = [p.get_help_record(ctx) for p in sorted(options, key=lambda p: not p.required)]
        if arguments:
            with formatter.section("Arguments"):
                formatter.write_dl(arguments)
        with formatter.section("Options"):
            formatter.write_dl([record for record in records if record is not None])


class Listed(TyperCommand):
    """A command as lists and help pages of its group need it; it is built when it is called.

    Args:
        name: Its name.
        help: Its docstring, or the first line of it.
        build: Returns the command.
    """

    def __init__(self, name: str, help: str, build: Callable[[], Any]) -> None:
        super().__init__(name, help=inspect.cleandoc(help))
        self._build = build

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Builds the command and returns its context."""
        return self._build().make_context(info_name, args, parent, **extra)


class Commands(MutableMapping[str, Any]):
    """The commands of a group by name, each imported and built on first use.

    Building one takes milliseconds, and most calls need only one.

    Args:
        package: The package of the modules, each with the name of its command.
        commands: Commands whose module has a function of the same name.
        groups: Groups whose module has a ``typer.Typer`` named ``app``; they are listed last.
    """

    def __init__(self, package: str, commands: Sequence[str], groups: Sequence[str] = ()) -> None:
        self._package = package
        self._groups = groups
        self._built: dict[str, Any] = dict.fromkeys((*commands, *groups))

    def __getitem__(self, name: str) -> Any:
        if self._built[name] is None:
            self._built[name] = self._build(name)
        return self._built[name]

    def listed(self, name: str) -> Listed:
        """Returns a command for a list, without building it.

        Raises:
            KeyError: The name is unknown.
        """
        return Listed(name, self._help(name), partial(self.__getitem__, name))

    def _help(self, name: str) -> str:
        if name not in self._built:
            raise KeyError(name)
        module = import_module(f"{self._package}.{name}")
        return str(module.app.info.help if name in self._groups else getattr(module, name).__doc__)

    def _build(self, name: str) -> Any:
        module = import_module(f"{self._package}.{name}")
        if name in self._groups:
            group = get_group(module.app)
            group.name = name
            return group
        return built_command(name, getattr(module, name))

    def __setitem__(self, name: str, command: Any) -> None:
        self._built[name] = command

    def __delitem__(self, name: str) -> None:
        del self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._built)

    def __len__(self) -> int:
        return len(self._built)


def built_command(name: str, function: Callable[..., None]) -> Any:
    """Returns the command of a function with parameters as Typer reads them."""
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    app.command(name, cls=Command)(function)
    return get_command(app)


def _convert_late(parameter: Any) -> None:
    """Leaves a value as it is if there is none, or if a shell only asks how to complete it.

    The conversion imports pydantic, which takes longer than everything else that a help page or a completion needs.
    """
    if "process_value" in vars(parameter):
        return
    convert = parameter.process_value

    def process(context: Any, value: Any) -> Any:
        if context.resilient_parsing:
            return value
        if value is None and not parameter.required and not parameter.multiple and parameter.nargs == 1:
            return parameter.callback(context, parameter, None) if parameter.callback else None
        return convert(context, value)

    parameter.process_value = process


def _name(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())
