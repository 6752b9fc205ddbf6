"""Variables, references and the matrix of a recipe, resolved to steps that can run.

``${name}`` is a variable, ``${step.output}`` an output or any other value of an earlier step, and
``${step.output[train]}`` the same with ``{split}`` in it replaced. ``$${`` is a plain ``${``. A variable whose value is
a list makes a matrix: each step that uses it, directly or through another step, runs once per value. The output
``dataset`` is without the options with which it is written.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from boxwright import DatasetURI, UsageError, did_you_mean
from boxwright_cli.recipes.commands import StepCommand
from boxwright_cli.recipes.document import Recipe, StepText, Value

_REFERENCE = re.compile(r"\$(\$\{)|\$\{([^{}\[\]]*)(?:\[([^{}\[\]]*)\])?\}")
_MOST = 1000
_LONGEST = 10_000


@dataclass(frozen=True)
class Step:
    """A step that can run.

    Attributes:
        name: Its name in the recipe.
        matrix: The values of the matrix that it is for, by variable.
        command: Its command.
        given: The resolved values by key.
        text: The step as written.
        uses: The names of the steps that it refers to.
    """

    name: str
    matrix: dict[str, Any]
    command: StepCommand
    given: dict[str, Any]
    text: StepText = field(repr=False)
    uses: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Its name with the values of the matrix: ``train [seed=0]``."""
        return f"{self.name} [{matrix_text(self.matrix)}]" if self.matrix else self.name


def matrix_text(values: Mapping[str, Any]) -> str:
    """Returns values of a matrix as ``preset=tiny, seed=0``."""
    return ", ".join(f"{name}={value}" for name, value in values.items())


@dataclass(frozen=True)
class Plan:
    """A recipe, resolved.

    Attributes:
        recipe: The recipe.
        steps: Its steps in the order in which they run.
        variables: The variables of the matrix with their values.
    """

    recipe: Recipe
    steps: list[Step]
    variables: dict[str, list[Any]]

    def error(self, step: Step, problem: str, remedy: str, key: str = "") -> Exception:
        """Returns an error of a step, at the line of one of its values."""
        line = step.text.options[key].line if key in step.text.options else step.text.line
        return self.recipe.error(problem, remedy, line, step.name)


def make_plan(recipe: Recipe, find: Callable[[str], StepCommand]) -> Plan:
    """Resolves a recipe.

    Args:
        recipe: The recipe.
        find: Returns a command by name.

    Raises:
        DataError: A command, option, variable or reference is unknown; the error names the line and the step.
    """
    return _Resolver(recipe, find).plan()


class _Resolver:
    def __init__(self, recipe: Recipe, find: Callable[[str], StepCommand]) -> None:
        self.recipe, self.find = recipe, find
        self.commands: dict[str, StepCommand] = {}
        self.made: dict[str, list[Step]] = {}
        self.names: dict[str, list[str]] = {}  # what each variable refers to
        self.resolved: dict[tuple[str, str], Any] = {}  # each variable for each combination of the matrix
        self.axes: dict[str, tuple[str, ...]] = {}  # the variables of the matrix of each step and variable

    def plan(self) -> Plan:
        lists = {name: value for name, value in self.recipe.variables.items() if isinstance(value.content, list)}
        for name, value in self.recipe.variables.items():
            self._check_variable(name, value)
        for step in self.recipe.steps.values():
            self._add(step)
        used = {axis for steps in self.axes.values() for axis in steps}
        steps = [step for group in self.made.values() for step in group]
        return Plan(self.recipe, steps, {name: value.content for name, value in lists.items() if name in used})

    def _check_variable(self, name: str, value: Value) -> None:
        content = value.content if isinstance(value.content, list) else [value.content]
        if not content:
            raise self.recipe.error(f"the variable {name!r} is an empty list", "write at least one value", value.line)
        if any(isinstance(each, list | Mapping) for each in content):
            remedy = "write a text, a number, or a list of them"
            raise self.recipe.error(f"the variable {name!r} contains a list or mapping", remedy, value.line)
        if len(set(map(str, content))) < len(content):
            raise self.recipe.error(f"the variable {name!r} has a value twice", "remove one of them", value.line)

    def _add(self, text: StepText) -> None:
        try:
            command = self.find(text.command)
        except UsageError as error:
            raise self.recipe.error(error.message, error.remedy, text.command_line, text.name) from None
        for key, value in text.options.items():
            if key not in command.parameters:
                unknown = command.unknown(key)
                raise self.recipe.error(unknown.message, unknown.remedy, value.line, text.name)
        names = [name for value in text.options.values() for name in self._names(value.content, value.line, text.name)]
        axes = {axis for name in names for axis in self._axes_of(name)}
        ordered = tuple(name for name in self.recipe.variables if name in axes)
        uses = tuple(dict.fromkeys(name.partition(".")[0] for name in names if "." in name))
        self.commands[text.name], self.axes[text.name] = command, ordered
        choices = [self.recipe.variables[name].content for name in ordered]
        group = self.made[text.name] = []
        for values in itertools.product(*choices):
            matrix = dict(zip(ordered, values, strict=True))
            given = {
                key: self._resolved(value.content, value.line, text.name, matrix) for key, value in text.options.items()
            }
            group.append(Step(text.name, matrix, command, given, text, uses))
            if len(group) > _MOST:
                problem = f"the matrix has more than {_MOST:,} combinations"
                raise self.recipe.error(problem, "use fewer values", text.line, text.name)
        self._check_outputs(group)

    def _check_outputs(self, group: Sequence[Step]) -> None:
        """Checks that the steps of a matrix write to different places."""
        seen: dict[str, Step] = {}
        for step in group:
            for key, meaning in step.command.meanings.items():
                if meaning.role in ("writes", "changes") and key in step.given:
                    other = seen.setdefault(f"{key} {step.given[key]}", step)
                    if other is not step:
                        wanted = next(name for name in step.matrix if str(step.matrix[name]) != str(other.matrix[name]))
                        where = "it" if meaning.role == "writes" else "the step that makes it"
                        raise self.recipe.error(
                            f"{key} is {step.given[key]} for {matrix_text(other.matrix)} and for"
                            f" {matrix_text(step.matrix)}",
                            f"add ${{{wanted}}} to {where}",
                            step.text.options[key].line,
                            step.name,
                        )

    def _names(self, content: Any, line: int, step: str, within: tuple[str, ...] = ()) -> list[str]:
        return list(dict.fromkeys(self._find_names(content, line, step, within)))

    def _find_names(self, content: Any, line: int, step: str, within: tuple[str, ...]) -> Iterator[str]:
        """Yields the variables and outputs that a value refers to, also through variables."""
        for text in _texts(content):
            if "${" in _REFERENCE.sub("", text):
                raise self.recipe.error(f"{text!r} has a ${{ without its }}", "close it, or write $${", line, step)
            for plain, name, _ in dict.fromkeys(_REFERENCE.findall(text)):
                if plain:
                    continue
                self._check_name(name, line, step)
                yield name
                if "." not in name:
                    if name in within:
                        raise self.recipe.error(
                            f"the variable {name!r} refers to itself", "write its value", line, step
                        )
                    value = self.recipe.variables[name]
                    if name not in self.names:
                        self.names[name] = self._names(value.content, value.line, step, (*within, name))
                    yield from self.names[name]

    def _check_name(self, name: str, line: int, step: str) -> None:
        first, dot, output = name.partition(".")
        if not dot:
            if name not in self.recipe.variables:
                known = [*self.recipe.variables, *(f"{each}.OUTPUT" for each in self.commands)]
                remedy = f"{did_you_mean(name, self.recipe.variables)}there is: {', '.join(known) or 'none'}"
                raise self.recipe.error(f"there is no variable {name!r}", remedy, line, step)
            return
        if first not in self.commands:
            later = first in self.recipe.steps
            problem = f"${{{name}}} refers to {'the step itself or a later step' if later else 'no step'}"
            there = ", ".join(self.commands) or "none"
            remedy = "refer to a step above it" if later else f"{did_you_mean(first, self.commands)}there is: {there}"
            raise self.recipe.error(problem, remedy, line, step)
        outputs = self.commands[first].outputs()
        if output not in outputs:
            remedy = f"{did_you_mean(output, outputs)}it has: {', '.join(outputs)}"
            raise self.recipe.error(f"the step {first!r} has no output {output!r}", remedy, line, step)

    def _axes_of(self, name: str) -> tuple[str, ...]:
        if "." in name:
            return self.axes[name.partition(".")[0]]
        return (name,) if isinstance(self.recipe.variables[name].content, list) else ()

    def _resolved(self, content: Any, line: int, step: str, matrix: Mapping[str, Any]) -> Any:
        if isinstance(content, list):
            return [self._resolved(each, line, step, matrix) for each in content]
        if isinstance(content, Mapping):
            return {str(key): self._resolved(each, line, step, matrix) for key, each in content.items()}
        if not isinstance(content, str):
            return content
        whole = _REFERENCE.fullmatch(content)
        if whole and not whole[1] and whole[3] is None:
            return self._value(whole[2], line, step, matrix)

        def replaced(match: re.Match[str]) -> str:
            if match[1]:
                return match[1]
            value = self._value(match[2], line, step, matrix)
            if isinstance(value, list | Mapping):
                problem = f"${{{match[2]}}} is a list, in the middle of a text"
                raise self.recipe.error(problem, "write it alone", line, step)
            text = str(value).lower() if isinstance(value, bool) else str(value)
            return text if match[3] is None else text.replace("{split}", match[3])

        return _REFERENCE.sub(replaced, content)

    def _value(self, name: str, line: int, step: str, matrix: Mapping[str, Any]) -> Any:
        first, dot, output = name.partition(".")
        if not dot:
            content = matrix[name] if name in matrix else self.recipe.variables[name].content
            known = (name, repr(matrix))
            if known not in self.resolved:
                self.resolved[known] = self._resolved(content, line, step, matrix)
                if len(str(self.resolved[known])) > _LONGEST:
                    problem = f"the variable {name!r} has more than {_LONGEST:,} characters"
                    raise self.recipe.error(problem, "write a shorter text", line, step)
            return self.resolved[known]
        for other in self.made[first]:
            if all(str(matrix[axis]) == str(value) for axis, value in other.matrix.items()):
                key = other.command.outputs()[output]
                value = other.given[key] if key in other.given else other.command.parameters[key].default
                if value is None or callable(value):
                    problem = f"the step {first!r} does not set {output!r}"
                    raise self.recipe.error(problem, f"add `{key}` to it, or write the value here", line, step)
                if output == "dataset" != key:
                    uri = DatasetURI.parse(str(value))  # the options of writing are others than those of reading
                    return str(DatasetURI(uri.location, uri.format))
                return value
        raise AssertionError(name)


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for each in content:
            yield from _texts(each)
    elif isinstance(content, Mapping):
        for each in content.values():
            yield from _texts(each)
