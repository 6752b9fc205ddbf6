"""Commands that plugins add to the program."""

from __future__ import annotations

import pytest

PLUGIN = """
from typing import Annotated

import typer

from boxwright import CommandSpec, UsageError, hookimpl

boxwright_api = (1, 1)


@hookimpl
def boxwright_commands():
    return [
        CommandSpec(name="greet", summary="Greet", load="cli_greeting:greet", step=True),
        CommandSpec(name="wait", summary="Wait", load="cli_greeting:wait"),
        CommandSpec(name="train", summary="Not this one", load="cli_greeting:greet"),
        CommandSpec(name="lost", summary="Lose", load="cli_greeting:no_such_function"),
        CommandSpec(name="odd", summary="Surprise", load="cli_greeting:odd"),
        CommandSpec(
            name="wanting",
            summary="Want",
            load="cli_greeting:greet",
            requires=("no_such_library",),
            install="python -m pip install no-such-library",
        ),
    ]


def greet(name: Annotated[str, typer.Argument(help="Who.")], loud: Annotated[bool, typer.Option("--loud")] = False):
    \"\"\"Greet somebody.\"\"\"
    if name == "nobody":
        raise UsageError("nobody is there", "name somebody")
    typer.echo(f"Hello, {name}{'!' if loud else '.'}")


def wait():
    \"\"\"Wait.\"\"\"


def odd(what: int | str):
    \"\"\"Have a parameter that Typer cannot read.\"\"\"
"""


@pytest.fixture(autouse=True)
def plugin(install_plugin):
    install_plugin("cli_greeting", PLUGIN)


def test_it_is_called_like_any_other(boxwright):
    assert boxwright("greet", "you", "--loud").stdout == "Hello, you!\n"
    assert "Greet somebody." in boxwright("greet", "--help").stdout
    failed = boxwright("greet", "nobody")
    assert failed.exit_code == 2
    assert "nobody is there" in failed.stderr
    assert "name somebody" in failed.stderr
    assert "No such option" in boxwright("greet", "you", "--low").stderr


def test_it_is_listed_after_those_of_the_program(boxwright):
    names = [line.split()[0] for line in boxwright("--help").stdout.partition("Commands:")[2].splitlines() if line]
    assert names.index("greet") > names.index("weights")
    assert names.count("train") == 1


def test_it_cannot_replace_one_of_the_program(boxwright):
    assert "Train a detector" in boxwright("train", "--help").stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wanting", ["no_such_library", "python -m pip install no-such-library"]),
        ("lost", ["no_such_function", "reinstall the plugin"]),
        ("odd", ["the command 'odd' cannot be read", "report this to its author"]),
    ],
)
def test_one_that_cannot_be_used_is_listed_and_says_why(boxwright, name, said):
    assert name in boxwright("--help").stdout
    failed = boxwright(name, "--any", "thing")
    assert failed.exit_code == 1
    for words in said:
        assert words in failed.stderr


def test_a_recipe_takes_only_those_that_end(boxwright, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = tmp_path / "recipe.yaml"
    boxwright("greet", "you", "--save", recipe)
    assert recipe.read_text("utf-8") == "steps:\n  greet:\n    name: you\n"
    assert boxwright("run", recipe, "--dry-run").stdout.count("greet") >= 1
    assert "wait cannot be a step of a recipe" in boxwright("wait", "--save", recipe).stderr
    definitions = boxwright.json("run", "--schema")["$defs"]
    assert "greet" in definitions
    assert "wait" not in definitions
    assert "train" in definitions  # the plugin has one, too, which is not used


def test_two_of_one_name_are_an_error_that_names_both(boxwright, install_plugin):
    other = PLUGIN.replace("cli_greeting", "cli_other")
    install_plugin("cli_other", other)
    failed = boxwright("greet", "you")
    assert "cli-greeting" in failed.stderr
    assert "cli-other" in failed.stderr
    assert "greet" in boxwright("--help").stdout


def test_a_command_of_a_distribution_that_is_missing_names_it(boxwright, monkeypatch):
    monkeypatch.setenv("BOXWRIGHT_PLUGINS", "cli_greeting")
    failed = boxwright("serve", "runs/first", "--port", "8000")
    assert failed.exit_code == 1
    assert "python -m pip install boxwright-serve" in failed.stderr
    assert "serve" not in boxwright("--help").stdout.split()
