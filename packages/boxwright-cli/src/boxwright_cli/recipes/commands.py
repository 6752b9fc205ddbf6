"""The commands of the program as steps of a recipe: the same parameters, from the same declarations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final

import typer

from boxwright import UsageError, did_you_mean
from boxwright.plugins import default_registry
from boxwright_cli.meanings import Meaning, meanings_of

NOT_STEPS: Final = frozenset({"annotate", "loop", "run", "init", "reproduce", "formats", "plugins", "env", "weights"})
"""Commands and groups that cannot be a step."""
_OWN: Final = frozenset({"json", "resume", "help"})
"""Options that running a recipe sets itself."""


class StepCommand:
    """A command as a step.

    Attributes:
        name: Its name.
        command: The command of the command line.
        parameters: Its arguments and options by key: the name of an argument, or an option without its dashes.
        meanings: The meanings of those values that have one, by key.
    """

    def __init__(self, name: str, command: Any) -> None:
        self.name, self.command = name, command
        by_name = meanings_of(command)
        self.parameters: dict[str, Any] = {}
        self.meanings: dict[str, Meaning] = {}
        for parameter in command.params:
            key = key_of(parameter)
            if key in _OWN:
                continue
            self.parameters[key] = parameter
            if parameter.name in by_name:
                self.meanings[key] = by_name[parameter.name]

    @cached_property
    def resumes(self) -> bool:
        """Whether it can continue work that was interrupted."""
        return any(parameter.name == "resume" for parameter in self.command.params)

    @cached_property
    def measures(self) -> bool:
        """Whether its result has numbers for the table of a recipe."""
        return any(meaning.what == "metric" for meaning in self.meanings.values())

    @cached_property
    def overwrites(self) -> bool:
        """Whether it can replace its output."""
        return "overwrite" in self.parameters

    def outputs(self) -> dict[str, str]:
        """Returns the keys of its outputs, by the names for other steps: the meaning, and the key itself."""
        found = {meaning.what: key for key, meaning in self.meanings.items() if meaning.role in ("writes", "changes")}
        return found | {key: key for key in self.parameters}

    def words(self, given: Mapping[str, Any]) -> list[str]:
        """Returns the words of the command line.

        Args:
            given: The values by key: texts, numbers, true or false for a flag, lists and mappings.

        Raises:
            UsageError: A value has the wrong kind.
        """
        options: list[str] = []
        arguments: list[str] = []
        for key, parameter in self.parameters.items():
            if key not in given or given[key] is None:
                continue
            value = given[key]
            if parameter.param_type_name == "argument":
                arguments += [_text(each, key) for each in _several(value, parameter.nargs == -1, key)]
            elif parameter.is_flag:
                options += _flag(parameter, value, key)
            else:
                texts = [_text(each, key) for each in _several(value, parameter.multiple, key)]
                options += [f"{parameter.opts[0]}={text}" for text in texts]
        return [*options, *(["--", *arguments] if arguments else [])]

    def parse(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the values as the command receives them, by key, with defaults.

        Raises:
            UsageError: The command line would be refused.
        """
        try:
            context = self.command.make_context(self.name, self.words(given))
        except typer.TyperException as error:
            remedy = f"see `boxwright {self.name} --help`"
            raise UsageError(error.format_message().rstrip(".").replace("'--", "'"), remedy) from None
        return {key: context.params.get(parameter.name) for key, parameter in self.parameters.items()}

    def unknown(self, key: str) -> UsageError:
        """Returns the error for a key that it does not have."""
        if key in _OWN:
            return UsageError(f"{key!r} cannot be set in a recipe", f"remove it: `boxwright run` sets --{key} itself")
        near = did_you_mean(key.replace("_", "-"), self.parameters)
        return UsageError(f"{self.name} has no option {key!r}", f"{near}it has: {', '.join(self.parameters)}")


def key_of(parameter: Any) -> str:
    """Returns the key of a parameter in a recipe."""
    if parameter.param_type_name == "argument":
        return str(parameter.name)
    return str(max(parameter.opts, key=len)).lstrip("-")


def step_commands(program: Any) -> Callable[[str], StepCommand]:
    """Returns a function that returns a command as a step, given its name.

    It raises :class:`boxwright.UsageError` for a name that is not that of such a command.

    Args:
        program: The group with all commands.
    """
    built: dict[str, StepCommand] = {}

    def find(name: str) -> StepCommand:
        if name not in built:
            known = step_names(program)
            if name not in known:
                raise UsageError(
                    f"{name!r} is not a command", f"{did_you_mean(name, known)}set `command` to: {', '.join(known)}"
                )
            built[name] = StepCommand(name, program.commands[name])
        return built[name]

    return find


def step_names(program: Any) -> list[str]:
    """Returns the names of the commands that can be steps."""
    endless = {entry.spec.name for entry in default_registry().all("command") if not entry.spec.step}
    without = NOT_STEPS | endless.difference(program.commands.own)  # a plugin does not replace those
    return [name for name in program.commands if name not in without]


def _several(value: Any, repeated: bool, key: str) -> list[Any]:
    if isinstance(value, Mapping):
        if not repeated:
            raise UsageError(f"{key} is a mapping", "write one value")
        return [f"{name}={_text(each, key)}" for name, each in value.items()]
    if isinstance(value, list):
        if not repeated:
            raise UsageError(f"{key} is a list, and takes one value", "for a matrix, write the list under `variables`")
        return value
    return [value]


def _flag(parameter: Any, value: Any, key: str) -> list[str]:
    if not isinstance(value, bool):
        raise UsageError(f"{key} is {value!r}", "write true or false")
    if value:
        return [str(parameter.opts[0])]
    return [str(parameter.secondary_opts[0])] if parameter.secondary_opts else []


def _text(value: Any, key: str) -> str:
    if isinstance(value, list | Mapping):
        raise UsageError(f"{key} has a list or mapping inside another one", "write plain values")
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
