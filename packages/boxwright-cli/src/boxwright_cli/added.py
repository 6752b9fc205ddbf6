"""The commands of the program: its own, and those of plugins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, Final

from boxwright import BoxwrightError, MissingLibraryError, PluginError
from boxwright_cli.pages import Command, Commands, built_command

_DISTRIBUTIONS: Final = {"serve": "boxwright-serve"}
"""Commands of plugins of this project, and the distributions that add them."""


class AllCommands(Commands):
    """The commands of the program, and then those of plugins, which are loaded when they are listed or called.

    A plugin cannot replace a command of the program.

    Args:
        package: As for :class:`~boxwright_cli.pages.Commands`.
        commands: The same.
        groups: The same.
    """

    def __init__(self, package: str, commands: Sequence[str], groups: Sequence[str] = ()) -> None:
        super().__init__(package, commands, groups)
        self.own = (*commands, *groups)

    @cached_property
    def added(self) -> list[str]:
        """The names of the commands of plugins.

        Raises:
            PluginError: Only under ``BOXWRIGHT_STRICT=1``: a plugin failed.
        """
        from boxwright.plugins import default_registry

        return [name for name in default_registry().names("command") if name not in self.own]

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            if name in self.added:
                self._built[name] = _added(name)
            elif name in _DISTRIBUTIONS:
                self._built[name] = _unusable(name, _not_installed(name, _DISTRIBUTIONS[name]))
        return super().__getitem__(name)

    def _help(self, name: str) -> str:
        if name not in self.own:
            if name in self.added:
                return f"{_summary(name)}."
            if name in _DISTRIBUTIONS:
                return ""
        return super()._help(name)

    def __iter__(self) -> Iterator[str]:
        yield from self.own
        yield from self.added

    def __len__(self) -> int:
        return len(self.own) + len(self.added)


def _added(name: str) -> Any:
    """Returns the command of a plugin; one that cannot be used is listed, and raises the reason when it is called."""
    from boxwright.plugins import default_registry

    try:
        function = default_registry().resolve("command", name)
        try:
            return built_command(name, function)
        except Exception as error:
            raise PluginError(f"the command {name!r} cannot be read: {error}", "report this to its author") from error
    except BoxwrightError as error:
        return _unusable(name, error, f"{_summary(name)}.\n\n")


def _summary(name: str) -> str:
    """Returns the line of a plugin about its command."""
    from boxwright.plugins import default_registry

    return next(str(entry.spec.summary) for entry in default_registry().all("command") if entry.spec.name == name)


def _not_installed(name: str, distribution: str) -> BoxwrightError:
    install = f"run: python -m pip install {distribution}; `boxwright plugins list` shows what is loaded"
    return MissingLibraryError(f"{name} is a command of {distribution}, which is not installed or not loaded", install)


def _unusable(name: str, error: BoxwrightError, summary: str = "") -> Any:
    """Returns a command that takes everything, and raises an error."""
    settings = {"ignore_unknown_options": True, "allow_extra_args": True}
    text = f"{summary}It cannot be used: {error.message}. {error.remedy}"
    return Command(name, callback=_raising(error), help=text, context_settings=settings)


def _raising(error: BoxwrightError) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail
