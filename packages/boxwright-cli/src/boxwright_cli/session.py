"""One call of the program: what was asked for globally, and the two streams that it speaks on.

Results go to stdout; progress, messages, warnings and errors to stderr. With ``--json`` stdout gets one JSON object and
nothing else: whatever a library prints while it works is sent to stderr.
"""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

from boxwright_cli.plain import PlainConsole, table_lines

if TYPE_CHECKING:
    import typer

    from boxwright import Reporter

_PLAIN_WIDTH = 10_000
"""Columns where colour is forced upon a file or a pipe: its lines are neither wrapped nor cut."""


class Session:
    """The global options of one call, and its output.

    Attributes:
        debug: Whether errors show their traceback.
        quiet: Whether only results, warnings and errors are shown.
        verbose: Whether what the libraries log is shown too.
        json: Whether the result is one JSON object on stdout.
        stdout: Where results go, whatever else is printed.
        if_interrupted: What Ctrl-C leaves behind, in one sentence; commands set it before long work.
    """

    def __init__(self, *, debug: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        self.debug, self.quiet, self.verbose = debug, quiet, verbose
        self.json = False
        self.if_interrupted = "nothing was changed."
        self.stdout: TextIO = sys.stdout

    @classmethod
    def of(cls, context: typer.Context) -> Session:
        """The session of a running command."""
        session = context.find_object(cls)
        return session if session is not None else cls()

    def start(self, *, json: bool = False) -> Reporter:
        """Begins a command's work and gives the reporter for it."""
        from boxwright_cli.reporter import TerminalReporter

        self.json = json
        if json:
            sys.stdout = sys.stderr
        return TerminalReporter(self.err, quiet=self.quiet)

    def finish(self) -> None:
        """Flushes stdout while a closed pipe can still be answered."""
        self.stdout.flush()

    @cached_property
    def out(self) -> Any:
        """Where results go: rich's console on a terminal, else a plain one."""
        return _console(self.stdout)

    @cached_property
    def err(self) -> Any:
        """Where everything else goes."""
        return _console(sys.stderr)

    def result(self, content: Mapping[str, Any]) -> None:
        """Prints the result as the one JSON object on stdout."""
        # ASCII, so that a name of any script, or none, gets through a pipe of any encoding.
        print(json.dumps(content, indent=2, allow_nan=False, default=str), file=self.stdout)

    def say(self, text: str = "", style: str = "") -> None:
        """Prints one line of a result."""
        self.out.print(printable(text), style=style or None, soft_wrap=True)

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "", numbers: int | None = None
    ) -> None:
        """Prints a table; nothing where there are no rows.

        Args:
            columns: The headings; no line of headings where all are empty.
            rows: One sequence of cells a row.
            title: A line above it.
            numbers: From this column on, cells are right-aligned numbers; ``None`` for no such column.
        """
        cells = [[printable(str(cell)) for cell in row] for row in rows]
        if not cells:
            return
        if title:
            self.say(title, style="bold")
        if not self.out.is_terminal:
            print(*table_lines(columns, cells, numbers), sep="\n", file=self.stdout)
            return
        from rich.table import Table

        grid = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False, show_header=any(columns))
        for position, name in enumerate(columns):
            right = numbers is not None and position >= numbers
            grid.add_column(name, justify="right" if right else "left", overflow="fold", no_wrap=right)
        for row in cells:
            grid.add_row(*row)
        self.out.print(grid)

    def next_steps(self, intro: str, commands: Iterable[str]) -> None:
        """Says what to type next, unless only results are wanted."""
        if self.quiet:
            return
        self.say()
        self.say(intro)
        for command in commands:
            self.say(f"  {command}", style="cyan")


_SKIPPED_SHOWN = 10


def printable(text: str) -> str:
    r"""Text from files and arguments, safe to print: control characters but newlines appear as ``\x1b``.

    A class name must not be able to move the cursor or to colour the terminal.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter == "\n" or unicodedata.category(letter) not in ("Cc", "Cf", "Cs") else repr(letter)[1:-1]
        for letter in text
    )


def amount(count: int, thing: str) -> str:
    """``1 picture``, ``240 pictures``, ``2 boxes``."""
    plural = f"{thing}es" if thing.endswith(("x", "s")) else f"{thing}s"
    return f"{count:,} {thing if count == 1 else plural}"


def duration(seconds: float) -> str:
    """``0.4 s``, ``38 s``, ``5 min 12 s``, ``2 h 5 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def show_skipped(session: Session, skipped: list[Any]) -> None:
    """Lists what was left out: the first ten with their reasons, and how many more there are."""
    if not skipped:
        return
    session.say()
    session.say(f"Left out: {amount(len(skipped), 'item')}", style="yellow")
    for error in skipped[:_SKIPPED_SHOWN]:
        session.say(f"  {error}".replace("\n", "\n  "))
    if len(skipped) > _SKIPPED_SHOWN:
        session.say(f"  ... and {len(skipped) - _SKIPPED_SHOWN:,} more; --json lists all")


def _console(file: TextIO) -> Any:
    terminal = file.isatty()
    if not terminal and not os.environ.get("FORCE_COLOR"):
        return PlainConsole(file)
    from rich.console import Console

    # Markup off: a class called "[red]" is a class called "[red]".
    return Console(file=file, width=None if terminal else _PLAIN_WIDTH, markup=False, highlight=False, emoji=False)
