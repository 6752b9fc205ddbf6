"""The values that shells complete: names of plugins, and their options."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Final

import typer

from boxwright.plugins import KINDS, Option, default_registry, environments

VARIABLE: Final = "_BOXWRIGHT_COMPLETE"
"""The environment variable by which a shell requests completion."""
BASH: Final = "complete_bash"
_BREAKS: Final = ":="
"""Characters at which bash splits a word."""
_PLUGIN_OF_SETTINGS: Final = {"train": ("backend", "backend"), "export": ("exporter", "to")}
"""The kind of plugin whose options ``--set`` of a command sets, and the parameter that names it."""

Candidates = list[tuple[str, str]]


def complete_in_bash(program: Callable[[], Any]) -> None:
    """Runs the program as bash does to complete a word.

    Bash splits words at ``:`` and ``=``, and replaces only the part behind: the parts are joined for the program, and
    the first ones removed from its answer.

    Args:
        program: Runs the program, which prints the values and exits.
    """
    words, number = joined_words(os.environ["COMP_WORDS"].split("\n"), int(os.environ["COMP_CWORD"]))
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = "\n".join(words), str(number)
    word = words[number] if number < len(words) else ""
    if word.startswith("--"):  # the answer is without the name of the option
        word = word.partition("=")[2] or word
    start = max(word.rfind(letter) for letter in _BREAKS) + 1
    answer = io.StringIO()
    try:
        with redirect_stdout(answer):
            program()
    finally:
        for line in answer.getvalue().splitlines():
            print(line[start:] if line.startswith(word[:start]) else line)


def joined_words(words: Sequence[str], current: int) -> tuple[list[str], int]:
    """Returns words without the splits at ``:`` and ``=``, and the new number of the current one."""
    joined: list[str] = []
    position, is_open = current, False
    for number, word in enumerate(words):
        breaks = bool(word) and not word.strip(_BREAKS)
        if number > 1 and (breaks or is_open):
            joined[-1] += word
        else:
            joined.append(word)
        is_open = breaks
        if number == current:
            position = len(joined) - 1
    return joined, position


def candidates(what: str, ctx: typer.Context, incomplete: str) -> Candidates:
    """Returns the values that begin with what was typed, each with one line about it.

    Args:
        what: The meaning of the value; see :class:`boxwright_cli.meanings.Meaning`.
        ctx: The command, with the options that were typed before.
        incomplete: The beginning of the value.
    """
    return [pair for pair in _values(what, ctx, incomplete) if pair[0].startswith(incomplete)]


def _values(what: str, ctx: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    registry = default_registry()
    if what in ("dataset", "inputs"):
        yield from _datasets(incomplete)
    elif what == "exporter":
        for entry in registry.all(what):
            yield entry.spec.name, entry.spec.summary
            for precision in entry.spec.precisions:
                yield f"{entry.spec.name}:{precision}", entry.spec.summary
    elif what == "preset":
        for entry in registry.all("backend"):
            if ctx.params.get("backend") in (None, entry.spec.name):
                yield from entry.spec.presets.items()
    elif what == "settings":
        kind, parameter = _PLUGIN_OF_SETTINGS.get(str(ctx.info_name), ("", ""))
        chosen = str(ctx.params.get(parameter) or "").partition(":")[0]
        for entry in registry.all(kind) if kind else ():
            if chosen in ("", entry.spec.name):
                yield from _settings(entry.spec.options, "", incomplete)
    elif what == "environment":
        for environment in environments().values():
            yield environment.spec.name, environment.spec.summary
    elif what == "weights":
        found = [weights for entry in registry.all("backend") for weights in entry.spec.weights]
        yield from {weights.name: weights.summary for weights in found}.items()
    elif what in ("kind", "plugin"):
        typed = [word for word in ctx.params.get("words") or () if word in KINDS]
        if not typed:
            yield from ((kind, "") for kind in KINDS)
        if what == "plugin":
            for kind in typed or KINDS:
                yield from ((entry.spec.name, entry.spec.summary) for entry in registry.all(kind))
    elif what in KINDS:
        name, colon, text = incomplete.partition(":")
        for entry in registry.all(what):
            if not colon:
                yield entry.spec.name, entry.spec.summary
            elif entry.spec.name == name:
                done = text.rpartition(",")[0]
                yield from _settings(entry.spec.options, f"{name}:{done}{',' if done else ''}", incomplete)


def _datasets(incomplete: str) -> Iterator[tuple[str, str]]:
    name, colon, rest = incomplete.partition(":")
    location, mark, query = rest.partition("?")
    for entry in default_registry().all("format"):
        if not colon:
            yield f"{entry.spec.name}:", entry.spec.summary
        elif mark and entry.spec.name == name:
            done = query.rpartition("&")[0]
            start = f"{name}:{location}?{done}{'&' if done else ''}"
            yield from _settings((*entry.spec.options, *entry.spec.write_options), start, incomplete)
    if colon and not mark and os.environ.get(VARIABLE) != BASH:  # bash completes files on its own
        folder = Path(location).parent if not location.endswith("/") else Path(location)
        try:
            for path in sorted(folder.iterdir()):
                yield f"{name}:{path}{'/' if path.is_dir() else ''}", ""
        except OSError:
            return


def _settings(options: tuple[Option, ...], start: str, incomplete: str) -> Iterator[tuple[str, str]]:
    """Yields options as ``name=``, and their values if the name was typed."""
    for option in options:
        head = f"{start}{option.name}="
        if not incomplete.startswith(head):
            yield head, option.help
        else:
            values: Mapping[Any, tuple[str, ...]] = {bool: ("true", "false")}
            for value in option.type if isinstance(option.type, tuple) else values.get(option.type, ()):
                yield f"{head}{value}", option.help
