"""The YAML file of a recipe, with the line of each value for messages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from boxwright import DataError
from boxwright.storage import read_file

NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
"""A name of a step or a variable."""
_LIMIT: Final = 1 << 20
_KEYS: Final = ("variables", "steps")
_NOT_YAML: Final = (yaml.YAMLError, ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError)
"""What the YAML library raises for a text that is not YAML, such as the date 2020-99-99 or ``!!bool maybe``."""


@dataclass(frozen=True)
class Value:
    """A value of the file, and its line, counted from 1."""

    content: Any
    line: int


@dataclass(frozen=True)
class StepText:
    """A step as written.

    Attributes:
        name: Its name.
        command: The name of its command.
        options: Its arguments and options by key.
        line: Its line.
        command_line: The line of its command.
    """

    name: str
    command: str
    options: dict[str, Value]
    line: int
    command_line: int


@dataclass(frozen=True)
class Recipe:
    """A recipe as written.

    Attributes:
        path: The file.
        variables: The variables.
        steps: The steps by name, in order.
    """

    path: str
    variables: dict[str, Value] = field(default_factory=dict)
    steps: dict[str, StepText] = field(default_factory=dict)

    def error(self, problem: str, remedy: str, line: int = 0, step: str = "") -> DataError:
        """Returns an error at a place of the file."""
        place = ", ".join(filter(None, (f"line {line}" if line else "", f"step {step}" if step else "")))
        return DataError(self.path, problem, remedy, place)

    def with_variables(self, changes: Mapping[str, str]) -> Recipe:
        """Returns the recipe with other values of variables, each written as in YAML: ``[0, 1]`` is a list.

        Raises:
            DataError: A variable is unknown, or a value is not YAML.
        """
        variables = dict(self.variables)
        for name, text in changes.items():
            if name not in variables:
                known = f"it has: {', '.join(variables)}" if variables else "it has no variables"
                raise self.error(f"there is no variable {name!r}", f"{known}; to change an option, edit the recipe")
            try:
                content = yaml.safe_load(text)
            except _NOT_YAML:
                raise self.error(f"{name}={text!r} is not YAML", f"quote it: --set {name}='\"...\"'") from None
            variables[name] = Value("" if content is None else content, self.variables[name].line)
        return Recipe(self.path, variables, self.steps)


def read_recipe(path: str) -> Recipe:
    """Reads a recipe.

    Raises:
        DataError: The file is missing, is not YAML, or is not a recipe; the error names the line.
    """
    content = read_file(path, limit=_LIMIT)
    if content is None:
        raise DataError(path, "file not found", "check the path, or write a recipe with `boxwright init`")
    return parse_recipe(content.decode("utf-8-sig", "replace"), path)


def parse_recipe(text: str, path: str) -> Recipe:
    """Returns the recipe in a text; see :func:`read_recipe`.

    Raises:
        DataError: The text is not YAML, or not a recipe.
    """
    recipe = Recipe(path)
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        top = {} if node is None else _mapping(loader, node, recipe, "a recipe")
        unknown = [key for key in top if key not in _KEYS]
        if unknown:
            raise recipe.error(
                f"{unknown[0]!r} is not part of a recipe", "write `variables` and `steps`", _at(top[unknown[0]])
            )
        if "variables" in top:
            for name, child in _mapping(loader, top["variables"], recipe, "`variables`").items():
                recipe.variables[name] = Value(loader.construct_object(child, deep=True), _at(child))
        if "steps" in top:
            for name, child in _mapping(loader, top["steps"], recipe, "`steps`").items():
                recipe.steps[name] = _step(loader, name, child, recipe, top["steps"])
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise recipe.error(
            f"it is not valid YAML: {error.problem}", "correct that line; in [ ], quote a text with { in it", line
        ) from None
    except _NOT_YAML as error:
        problem = " ".join(str(error).split())
        raise recipe.error(f"it is not valid YAML: {problem}", "correct it, or check the path") from None
    finally:
        if loader is not None:
            loader.dispose()
    if not recipe.steps:
        raise recipe.error(
            "it has no steps", "write them under `steps`; `boxwright init` writes a recipe to start from"
        )
    for name, value in (recipe.variables | recipe.steps).items():
        if not NAME.fullmatch(name):
            problem = f"{name!r} cannot be a name"
            raise recipe.error(problem, "begin with a letter, and use letters, digits, - and _", value.line)
    return recipe


def _step(loader: Any, name: str, node: Any, recipe: Recipe, parent: Any) -> StepText:
    options = {
        key: Value(loader.construct_object(child, deep=True), _at(child))
        for key, child in _mapping(loader, node, recipe, f"the step {name!r}", empty=True).items()
    }
    line = next((_at(key) for key, child in parent.value if child is node), _at(node))
    command = options.pop("command", Value(name, line))
    if not isinstance(command.content, str):
        raise recipe.error("`command` is not a name", "write a command, such as `command: train`", command.line, name)
    return StepText(name, command.content, options, line, command.line)


def _mapping(loader: Any, node: Any, recipe: Recipe, what: str, *, empty: bool = False) -> dict[str, Any]:
    """Returns the nodes of a mapping by key."""
    if empty and node.tag.endswith(":null"):
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise recipe.error(f"{what} must be a mapping", "write lines such as `name: value`", _at(node))
    loader.flatten_mapping(node)
    found: dict[str, Any] = {}
    for key_node, child in node.value:
        key = loader.construct_object(key_node)
        if not isinstance(key, str):
            raise recipe.error(f"{key!r} is not a name", "quote it", _at(key_node))
        if key in found:
            raise recipe.error(f"{key!r} appears twice", "remove one of them", _at(key_node))
        found[key] = child
    return found


def _at(node: Any) -> int:
    return int(node.start_mark.line) + 1
