"""One call of the program: its global options and its two output streams.

Results go to stdout; progress, messages, warnings and errors to stderr. With ``--json``, stdout is one JSON object, of
the result or of the error, and nothing else: everything that a library prints during the work is sent to stderr.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

from boxwright_cli.plain import PlainConsole, table_lines
from boxwright_cli.reporter import TerminalReporter
from boxwright_cli.text import amount, printable

if TYPE_CHECKING:
    import typer

    from boxwright import Reporter

_PLAIN_WIDTH = 10_000
"""The width of a file or a pipe with forced colors: its lines are not wrapped or cut."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as Ctrl-C does: outputs are complete or removed, and a training can be resumed."""


class Session:
    """The global options of one call, and its output.

    Attributes:
        debug: Whether errors show their traceback.
        quiet: Whether only results, warnings and errors are shown.
        verbose: Whether the log messages of libraries are shown.
        json: Whether the result is one JSON object on stdout.
        stdout: The stream for results, even if ``sys.stdout`` is redirected.
        if_interrupted: The state after Ctrl-C or SIGTERM, in one sentence; commands set it before long work.
    """

    def __init__(self, *, debug: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        self.debug, self.quiet, self.verbose = debug, quiet, verbose
        self.json = False
        self.if_interrupted = "nothing was changed."
        self.stdout: TextIO = sys.stdout
        self._shared: tuple[int, TextIO] | None = None  # the descriptor and stream that stdout had before

    @classmethod
    def of(cls, context: typer.Context) -> Session:
        """Returns the session of a running command."""
        session = context.find_object(cls)
        return session if session is not None else cls()

    def start(self, *, json: bool = False) -> Reporter:
        """Starts a command's work and returns the reporter for it."""
        self.json = json
        if json:
            self._own_stdout()
        return TerminalReporter(self.err, quiet=self.quiet)

    def _own_stdout(self) -> None:
        """Sends to stderr what anything but this object prints, also what writes to the file descriptor itself."""
        self.stdout.flush()
        try:
            number = self.stdout.fileno()
            own = os.dup(number)
            os.dup2(sys.stderr.fileno(), number)
        except OSError:  # a stream in memory
            pass
        else:
            encoding = self.stdout.encoding
            self._shared = number, self.stdout
            self.stdout = open(own, "w", encoding=encoding, errors="backslashreplace")  # noqa: SIM115  # see restore
        sys.stdout = sys.stderr

    def restore(self) -> None:
        """Ends what ``start(json=True)`` began."""
        if self._shared is not None:
            number, stream = self._shared
            stream.flush()  # to stderr
            os.dup2(self.stdout.fileno(), number)
            with suppress(BrokenPipeError):
                self.stdout.close()
            self.stdout, self._shared = stream, None
        sys.stdout = self.stdout

    def protects(self, out: object) -> None:
        """Notes for Ctrl-C that an output appears completely or not at all."""
        self.if_interrupted = f"no incomplete output remains, and {out} is unchanged."

    def finish(self) -> None:
        """Flushes stdout while the program can still handle a closed pipe."""
        self.stdout.flush()

    @cached_property
    def out(self) -> Any:
        """The console for results: that of rich on a terminal, else a plain one."""
        return _console(self.stdout)

    @cached_property
    def err(self) -> Any:
        """The console for everything else."""
        return _console(sys.stderr)

    def result(self, content: Mapping[str, Any]) -> None:
        """Prints the result as one JSON object on stdout."""
        # ASCII, so that a name in any script can pass through a pipe of any encoding.
        print(json.dumps(content, indent=2, allow_nan=False, default=str), file=self.stdout)

    def error(self, code: int, problem: str, remedy: str = "", file: str = "", place: str = "") -> None:
        """Prints an error as the JSON object of a command, instead of its result."""
        content = {"exit_code": code, "problem": problem, "remedy": remedy, "file": file, "place": place}
        self.result({"error": content})

    def say(self, text: str = "", style: str = "") -> None:
        """Prints one line of a result."""
        self.out.print(printable(text), style=style or None, soft_wrap=True)

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "", numbers: int | None = None
    ) -> None:
        """Prints a table; nothing if it has no rows.

        Args:
            columns: The headings; if all are empty, there is no heading line.
            rows: One sequence of cells per row.
            title: A line above it.
            numbers: The first column of right-aligned numbers; ``None`` if there is none.
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
        """Prints commands to try next, unless ``quiet`` is set."""
        if self.quiet:
            return
        self.say()
        self.say(intro)
        for command in commands:
            self.say(f"  {command}", style="cyan")


_SKIPPED_SHOWN = 10


def show_skipped(session: Session, skipped: list[Any]) -> None:
    """Lists skipped items: the first ten with their reasons, and the number of the others."""
    if not skipped:
        return
    session.say()
    session.say(f"Skipped: {amount(len(skipped), 'item')}", style="yellow")
    for error in skipped[:_SKIPPED_SHOWN]:
        session.say(f"  {error}".replace("\n", "\n  "))
    if len(skipped) > _SKIPPED_SHOWN:
        session.say(f"  ... and {len(skipped) - _SKIPPED_SHOWN:,} more; --json lists all")


def _console(file: TextIO) -> Any:
    terminal = file.isatty()
    if not terminal and not os.environ.get("FORCE_COLOR"):
        return PlainConsole(file)
    from rich.console import Console

    # Without markup, which would interpret a class name such as "[red]".
    return Console(file=file, width=None if terminal else _PLAIN_WIDTH, markup=False, highlight=False, emoji=False)
