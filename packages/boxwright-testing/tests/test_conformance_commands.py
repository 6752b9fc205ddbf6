"""The suite for commands: one that keeps all promises passes; each broken one is caught by the test meant for it."""

from __future__ import annotations

from collections.abc import Callable

pytest_plugins = "pytester"

Suite = Callable[..., dict[str, set[str]]]

RENAMED = """
COMMAND = "train"

@toy.hookimpl
def boxwright_commands():
    return [toy.CommandSpec(name="train", summary="Another training", load=f"{toy.__name__}:greet")]

toy.boxwright_commands, toy.COMMAND = boxwright_commands, COMMAND
"""

HEAVY = """
from pathlib import Path
Path(__file__).with_name("toyheavy.py").write_text("import numpy\\ndef greet():\\n    'Greets.'\\n")

@toy.hookimpl
def boxwright_commands():
    return [toy.CommandSpec(name="toycommand", summary="Greets", load="toyheavy:greet")]

toy.boxwright_commands = boxwright_commands
"""

BROKEN = {
    "imports a large library": (HEAVY, {"test_its_help_page_imports_nothing_heavy"}),
    "has the name of another": (RENAMED, {"test_the_program_has_no_command_of_that_name"}),
    "has no docstring": ("toy.greet.__doc__ = None", {"test_its_help_page_is_complete"}),
    "has a parameter without help": (
        "toy.greet.__annotations__['name'] = str",
        {"test_its_help_page_is_complete"},
    ),
}
"""The code of each broken command, and the tests that must fail."""


def test_a_command_that_keeps_all_promises_passes(suite: Suite) -> None:
    assert suite("command", {"nothing": ""}) == {"nothing": set()}


def test_each_broken_command_is_caught(suite: Suite) -> None:
    failed = suite("command", {what: code + "\n" for what, (code, _) in BROKEN.items()})
    assert failed == {what: names for what, (_, names) in BROKEN.items()}
