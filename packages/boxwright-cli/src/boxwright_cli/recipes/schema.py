"""The JSON schema of a recipe, from the commands and the installed plugins."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from boxwright.plugins import KINDS, default_registry
from boxwright_cli.meanings import types_of
from boxwright_cli.recipes.commands import StepCommand, step_commands, step_names

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_NAME: Final = "^[A-Za-z][A-Za-z0-9_-]*$"
_REFERENCE: Final = {"type": "string", "pattern": r"\$\{"}
_NUMBERS: Final = {int: "integer", float: "number"}


def recipe_schema(program: Any) -> dict[str, Any]:
    """Returns the schema, draft 2020-12, for editors.

    Args:
        program: The group with all commands.
    """
    find = step_commands(program)
    names = step_names(program)
    plain = {"type": ["string", "number", "boolean"]}
    return {
        "$schema": _DRAFT,
        "title": "A recipe of boxwright",
        "type": "object",
        "required": ["steps"],
        "additionalProperties": False,
        "properties": {
            "variables": {
                "type": "object",
                "propertyNames": {"pattern": _NAME},
                "additionalProperties": {"anyOf": [plain, {"type": "array", "items": plain, "minItems": 1}]},
            },
            "steps": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": _NAME},
                "properties": {
                    name: {
                        "if": {"type": ["object", "null"], "not": {"required": ["command"]}},
                        "then": {"$ref": f"#/$defs/{name}"},
                        "else": {"$ref": "#/$defs/step"},
                    }
                    for name in names
                },
                "additionalProperties": {"$ref": "#/$defs/step", "required": ["command"]},
            },
        },
        "$defs": {
            "step": {
                "type": "object",
                "properties": {"command": {"enum": names}},
                "allOf": [
                    {
                        "if": {"properties": {"command": {"const": name}}, "required": ["command"]},
                        "then": {"$ref": f"#/$defs/{name}"},
                    }
                    for name in names
                ],
            },
            **{name: _command(find(name)) for name in names},
        },
    }


def _command(command: StepCommand) -> dict[str, Any]:
    types = types_of(command.command)
    required = [key for key, parameter in command.parameters.items() if parameter.required]
    schema: dict[str, Any] = {
        "type": "object" if required else ["object", "null"],
        "additionalProperties": False,
        "properties": {"command": {"const": command.name}}
        | {
            key: _value(command, key, parameter, types.get(str(parameter.name), str))
            for key, parameter in command.parameters.items()
        },
    }
    return schema | ({"required": required} if required else {})


def _value(command: StepCommand, key: str, parameter: Any, type_: type) -> dict[str, Any]:
    described = {"description": str(parameter.help or "")}
    if parameter.param_type_name != "argument" and parameter.is_flag:
        return described | {"anyOf": [{"type": "boolean"}, _REFERENCE]}
    kind = _NUMBERS.get(type_)
    one: dict[str, Any] = {"type": kind} if kind else {"type": ["string", "number", "boolean"]}
    if issubclass(type_, Enum):
        one = {"enum": [each.value for each in type_]}
    elif choices := _choices(command, key):
        # A name may be followed by options, as in `resize:800x600`.
        names = "|".join(sorted(str(choice) for choice in choices))
        one = {
            "anyOf": [{"enum": sorted(map(str, choices))}, {"type": "string", "pattern": rf"^({names})[:(]|^choice\("}]
        }
    one = {"anyOf": [one, _REFERENCE]}
    repeated = parameter.multiple if parameter.param_type_name != "argument" else parameter.nargs == -1
    if not repeated:
        return described | one
    meaning = command.meanings.get(key)
    mapping = [{"type": "object"}] if key == "set" or (meaning and meaning.what == "settings") else []
    return described | {"anyOf": [one, {"type": "array", "items": one}, *mapping]}


def _choices(command: StepCommand, key: str) -> list[str]:
    meaning = command.meanings.get(key)
    if meaning is None:
        return []
    registry = default_registry()
    if meaning.what == "preset":
        return [preset for entry in registry.all("backend") for preset in entry.spec.presets]
    if meaning.what in KINDS:
        return [*registry.names(meaning.what), *(["none"] if meaning.what == "augmenter" else [])]
    return []
