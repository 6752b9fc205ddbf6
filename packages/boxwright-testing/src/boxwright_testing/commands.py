"""Tests of a command: what a plugin adds to the program ``boxwright``."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, ClassVar

import pytest

from boxwright.plugins import Registered, Registry
from boxwright_testing.specs import HEAVY, SpecTests, fresh_environment

_IMPORT = """
import importlib, sys
before = set(sys.modules)
importlib.import_module(sys.argv[1])
print(*sorted(set(sys.argv[2].split(",")) & (set(sys.modules) - before)))
"""


class CommandTests(SpecTests):
    """The rules for every command; they build it, and do not run it.

    Set in the subclass ``command``, the command's name.
    """

    kind: ClassVar[str] = "command"
    command: ClassVar[str] = ""

    @property
    def spec_name(self) -> str:
        """The command's name."""
        return self.command

    @pytest.fixture
    def built(self, registry: Registry, entry: Registered[Any]) -> Any:
        """The command as the program builds it."""
        pages = pytest.importorskip("boxwright_cli.pages", reason="needs boxwright-cli")
        return pages.built_command(self.command, registry.resolve("command", self.command))

    def test_the_program_has_no_command_of_that_name(self, built: Any) -> None:
        """A command of the program cannot be replaced."""
        from typer.main import get_group

        from boxwright_cli.main import app

        own = get_group(app).commands.own  # type: ignore[attr-defined]
        assert self.command not in own, f"boxwright {self.command} is a command of the program: choose another name"

    def test_its_help_page_is_complete(self, built: Any) -> None:
        """It has a docstring, whose first line is short, and each parameter says what it is for."""
        assert built.help, "the function has no docstring, which is the help page"
        first = built.help.strip().splitlines()[0]
        assert len(first) <= 120, f"the first line of the docstring is {len(first)} letters long; write at most 120"
        silent = [each.name for each in built.params if each.name != "help" and not getattr(each, "help", "")]
        assert not silent, f"no help of {', '.join(silent)}: write Annotated[TYPE, typer.Option(help=...)]"

    def test_its_help_page_imports_nothing_heavy(self, registry: Registry, entry: Registered[Any]) -> None:
        """The module of the function is imported for ``boxwright NAME --help``, in a fresh process.

        On failure: move the import that is named into the function.
        """
        module = entry.spec.load.partition(":")[0]
        command = [sys.executable, "-c", _IMPORT, module, ",".join(HEAVY)]
        done = subprocess.run(command, capture_output=True, text=True, env=fresh_environment(), check=False)
        assert done.returncode == 0, f"importing {module} in a fresh process failed:\n{done.stderr}"
        assert not done.stdout.strip(), f"{module} imports {done.stdout.strip()}"
