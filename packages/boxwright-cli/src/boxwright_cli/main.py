"""The program ``boxwright``: its commands, its global options, and its reaction to errors.

Exit codes: 0 success, 1 failure, 2 wrong usage, 130 interrupted by Ctrl-C. Only this module sets them. Help pages are
plain text, because rich would double the time that ``boxwright --help`` takes.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from boxwright import BoxwrightError, DataError
from boxwright_cli.added import AllCommands
from boxwright_cli.pages import CALLED, WIDTH, Group
from boxwright_cli.session import Session, Terminated
from boxwright_cli.text import printable

_ANYWHERE = frozenset({"--debug", "--quiet", "-q", "--verbose", "-v", "--follow-links", "--trust-model"})
"""Global flags that are accepted after the command as well."""

_SAVE = "--save"
"""A global option with a value, accepted after the command as well."""

_WRONG_USAGE = 2
_JSON = "boxwright.json"
"""The key in the context that says whether the command has the option ``--json``."""


_COMMANDS = (
    "demo",
    "annotate",
    "loop",
    "info",
    "validate",
    "diff",
    "view",
    "convert",
    "train",
    "evaluate",
    "tune",
    "advise",
    "predict",
    "export",
    "benchmark",
    "compare",
    "reproduce",
    "init",
    "run",
    "formats",
)
_GROUPS = ("plugins", "env", "weights")


class Program(Group):
    """The top of the command tree: accepts global flags in any position, and turns errors into exit codes."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = AllCommands("boxwright_cli.commands", _COMMANDS, _GROUPS)

    def list_commands(self, ctx: Any) -> list[str]:
        """Returns the commands for the help page; only the own ones if ``BOXWRIGHT_STRICT`` raises for a plugin."""
        try:
            return list(self.commands)
        except BoxwrightError:
            return [*_COMMANDS, *_GROUPS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Returns a command, which is built when it is called; ``None`` if the name is unknown."""
        try:
            return self.commands.listed(cmd_name)  # type: ignore[attr-defined]
        except KeyError:
            return None

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Moves the global options before a ``--`` to the front."""
        end = args.index("--") if "--" in args else len(args)
        flags: list[str] = []
        others: list[str] = []
        words = iter(args[:end])
        for word in words:
            if word == _SAVE:
                value = list(islice(words, 1))
                if not value:
                    raise typer.BadParameter("pass a recipe, as in --save recipe.yaml", ctx, param_hint="'--save'")
                flags += [word, *value]
            else:
                (flags if word in _ANYWHERE or word.startswith(f"{_SAVE}=") else others).append(word)
        ctx.meta[_JSON] = "--json" in others
        return super().parse_args(ctx, [*flags, *others, *args[end:]])

    def invoke(self, ctx: Any) -> Any:
        """Runs the command.

        Raises:
            typer.Exit: With the exit code of an error, which has been printed on stderr.
        """
        session = Session(**{name: bool(ctx.params.get(name)) for name in ("debug", "quiet", "verbose")})
        ctx.obj = session
        with warnings.catch_warnings():
            warnings.showwarning = _warner(session)
            try:
                with _trust(bool(ctx.params.get("follow_links")), bool(ctx.params.get("trust_model"))):
                    result = super().invoke(ctx)
                if (recipe := ctx.params.get("save")) is not None:
                    from boxwright_cli.recipes.saving import save_step

                    session.err.print(f"{recipe}: added the step {save_step(recipe, ctx.meta[CALLED], self)}")
                session.finish()
                return result
            except (typer.Exit, typer.Abort):
                raise
            except typer.TyperException as error:
                if ctx.meta[_JSON]:
                    session.error(_WRONG_USAGE, error.format_message())
                raise
            except BoxwrightError as error:
                _show(session, error.message, error.remedy, error=error)
                raise typer.Exit(error.exit_code) from None
            except KeyboardInterrupt as error:
                how, code = _end_by(error)
                _show(session, f"{how}; {session.if_interrupted}", head="", code=code)
                raise typer.Exit(code) from None
            except BrokenPipeError:
                # The reader of the output has exited, as in `boxwright formats | head -1`.
                own = session.stdout if session.json else sys.__stdout__
                os.dup2(os.open(os.devnull, os.O_WRONLY), own.fileno() if own else 1)
                raise typer.Exit(1) from None
            except OSError as error:
                what = error.strerror or str(error)
                _show(
                    session,
                    f"{error.filename}: {what}" if error.filename else what,
                    "check the path and its permissions",
                )
                raise typer.Exit(1) from None
            except Exception as error:
                problem = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
                remedy = "" if session.debug else "report it with the output of `boxwright --debug ...`"
                _show(session, f"this is a bug in boxwright or in one of its plugins: {problem}", remedy)
                raise typer.Exit(1) from None
            finally:
                if session.json:
                    session.restore()


@contextmanager
def _trust(links: bool, models: bool) -> Iterator[None]:
    with ExitStack() as stack:
        if links:  # else it saves an import
            from boxwright.storage import follow_links

            stack.enter_context(follow_links())
        if models:
            from boxwright.models import trust_models

            stack.enter_context(trust_models())
        yield


def _show(
    session: Session,
    problem: str,
    remedy: str = "",
    *,
    head: str = "Error: ",
    code: int = 1,
    error: BoxwrightError | None = None,
) -> None:
    if session.json and isinstance(error, DataError):
        session.error(error.exit_code, error.problem, error.remedy, error.file, error.place)
    elif session.json:
        session.error(code if error is None else error.exit_code, problem, remedy)
    if session.debug:
        import traceback

        traceback.print_exc(file=sys.stderr)
    session.err.print(printable(f"{head}{problem}"), style="red" if head else None, soft_wrap=True)
    if remedy:
        session.err.print(printable(f"  -> {remedy}"), soft_wrap=True)


def _warner(session: Session) -> Any:
    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        session.err.print(f"warning: {printable(str(message))}", style="yellow", soft_wrap=True)

    return show


def _version(requested: bool) -> None:
    if requested:
        from boxwright import __version__

        typer.echo(f"boxwright {__version__}")
        raise typer.Exit()


app = typer.Typer(
    name="boxwright",
    cls=Program,
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDTH},
)


@app.callback(
    epilog="A dataset is written as FORMAT:LOCATION, such as labelimg:photos/train or tfrecord:train.record;"
    " see `boxwright formats`."
)
def _program(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show only results and errors, without progress and hints.")
    ] = False,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="RECIPE", help="Add the command to a recipe after it has run.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what plugins and libraries log.")] = False,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Read also what links in a dataset to other places lead to.")
    ] = False,
    trust_model: Annotated[
        bool, typer.Option("--trust-model", help="Load models with operations for files, connections or Python code.")
    ] = False,
) -> None:
    """Turn annotated photos into a working object detector.

    Start with generated images, then use your own photos:
      boxwright demo demo
      boxwright train --data labelimg:demo/train --out runs/demo
      boxwright predict runs/demo demo/test --out found
    """
    if verbose:
        import logging

        logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(name)s: %(message)s")


def _terminate(*_: object) -> None:
    raise Terminated("SIGTERM")


def _end_by(error: KeyboardInterrupt) -> tuple[str, int]:
    """Returns a word for the signal, and the exit code as shells count: 128 and its number."""
    return ("terminated", 143) if isinstance(error, Terminated) else ("interrupted", 130)


def main() -> None:
    """Runs the program; the entry point of the command ``boxwright``."""
    import gc
    import signal

    # The start creates hundreds of thousands of objects that stay, which the garbage collector need not search every
    # 700 objects. The other thresholds are Python's own, so that a long training frees its memory in time.
    gc.set_threshold(10_000, 10, 10)
    # Pydantic would search every installed distribution for its plugins.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    signal.signal(signal.SIGTERM, _terminate)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for class names outside the encoding
    try:
        if os.environ.get("_BOXWRIGHT_COMPLETE") == "complete_bash":
            from boxwright_cli.completion import complete_in_bash

            complete_in_bash(lambda: app(prog_name="boxwright"))
        app(prog_name="boxwright")
    except KeyboardInterrupt as error:
        sys.exit(_end_by(error)[1])
    finally:
        gc.freeze()  # saves the interpreter a last search at exit
