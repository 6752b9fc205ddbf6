"""Commands written to a recipe: ``boxwright convert ... --save recipe.yaml``."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any, Final

import yaml

from boxwright import DataError, OutputError, UsageError
from boxwright.storage import read_file, write_atomically
from boxwright_cli.recipes.cache import Cache, only_run
from boxwright_cli.recipes.commands import StepCommand, step_commands, step_names
from boxwright_cli.recipes.document import parse_recipe
from boxwright_cli.recipes.plan import make_plan
from boxwright_cli.recipes.running import Runner

_TOP_KEY: Final = re.compile(r"^([A-Za-z_]+):", re.MULTILINE)
_LONG: Final = 10_000


def check_target(path: Path, command: str, program: Any, context: Any) -> None:
    """Checks that a command can be added to a recipe, before it runs.

    Args:
        path: The file.
        command: The name of the command, or of its group.
        program: The group with all commands.
        context: The command as it was called.

    Raises:
        UsageError: The command cannot be a step.
        DataError: The file is not a recipe, or not one that ends with its steps.
    """
    if command in program.commands and command not in step_names(program):
        raise UsageError(f"{command} cannot be a step of a recipe", "remove --save")
    _extended(path, context, program)


def save_step(path: Path, context: Any, program: Any) -> str:
    """Adds a command that has run to a recipe, and returns the name of the step.

    An input that is an output of a step of the recipe refers to that step. A run of the recipe does not repeat it,
    unless another recipe is running in the current folder, or nothing can be written there.

    Args:
        path: The file, created if it does not exist.
        context: The command as it was called.
        program: The group with all commands.

    Raises:
        DataError: The file is not a recipe, or not one that ends with its steps.
    """
    name, text = _extended(path, context, program)
    write_atomically(path, text.encode())
    plan = make_plan(parse_recipe(text, str(path)), step_commands(program))
    with suppress(BlockingIOError, OutputError), only_run(_give_up):
        Runner(plan, Cache(str(path)), _run_nothing, [name]).adopt(plan.steps[-1])
    return name


def _give_up(message: str) -> None:
    raise BlockingIOError(message)


def _run_nothing(words: list[str]) -> Any:
    raise AssertionError(words)


def _extended(path: Path, context: Any, program: Any) -> tuple[str, str]:
    """Returns the name of the new step, and the text with it."""
    text = _read(path)
    command = StepCommand(context.command.name, context.command)
    options: dict[str, Any] = {}
    known = _outputs(text, path, program)
    for key, parameter in command.parameters.items():
        source = context.get_parameter_source(parameter.name)
        if key != "overwrite" and source is not None and source.name == "COMMANDLINE":
            meaning = command.meanings.get(key)
            replaced = known if meaning is not None and meaning.role in ("reads", "changes") else {}
            options[key] = _plain(context.params[parameter.name], key, replaced)
    before = parse_recipe(text, str(path)).steps if text.strip() else {}
    name, number = command.name, 1
    while name in before:
        number += 1
        name = f"{command.name}-{number}"
    body = ({} if name == command.name else {"command": command.name}) | options
    text = text if text.strip() else f"{text}steps:\n"
    text += "" if text.endswith("\n") else "\n"
    text += indented(yaml_text({name: body}), _indent(text))
    parse_recipe(text, str(path))
    return name, text


def yaml_text(content: Any) -> str:
    """Returns the YAML of plain values, with long lines and in order."""
    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=_LONG))


def indented(text: str, spaces: int) -> str:
    """Returns lines with spaces in front."""
    return "".join(f"{' ' * spaces}{line}\n" for line in text.splitlines())


def _read(path: Path) -> str:
    try:
        text = (read_file(str(path)) or b"").decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(path, "it is not UTF-8", "save it as UTF-8") from None
    if text.strip():
        parse_recipe(text, str(path))
        if _TOP_KEY.findall(text)[-1:] != ["steps"] or re.search(r"^steps:\s*\{", text, re.MULTILINE):
            problem = "a step can only be added at its end, which is not a list of steps"
            raise DataError(path, problem, "write `steps` last, with one line per step and option")
    return text


def _indent(text: str) -> int:
    match = re.search(r"^steps:[^\n]*\n(?:\s*(?:#[^\n]*)?\n)*( +)", text, re.MULTILINE)
    return len(match[1]) if match else 2


def _outputs(text: str, path: Path, program: Any) -> dict[str, str]:
    """Returns references to the outputs of the steps of a recipe without a matrix, by their values."""
    if not text.strip():
        return {}
    found: dict[str, str] = {}
    for step in make_plan(parse_recipe(text, str(path)), step_commands(program)).steps:
        for key, meaning in step.command.meanings.items():
            value = step.given.get(key)
            if meaning.role == "writes" and isinstance(value, str) and not step.matrix and "?" not in value:
                found[value] = f"${{{step.name}.{meaning.what}}}"
    return found


def _plain(value: Any, key: str, outputs: Mapping[str, str]) -> Any:
    if isinstance(value, list | tuple):
        texts = [_plain(each, key, outputs) for each in value]
        pairs = [str(each).partition("=") for each in texts]
        if key == "set" and all(pair[1] for pair in pairs) and len({pair[0] for pair in pairs}) == len(pairs):
            return {name: text for name, _, text in pairs}
        return texts[0] if len(texts) == 1 else texts
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str | os.PathLike):
        text = os.fspath(value)
        return outputs.get(text) or text.replace("${", "$${")
    return value
