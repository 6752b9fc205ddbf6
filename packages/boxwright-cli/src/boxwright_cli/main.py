"""The program ``boxwright``: its commands, its global options, and what every error becomes at the end.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted by Ctrl-C. Only this module decides them. Help pages are
plain text on purpose: drawing them with rich would double the time until ``boxwright --help`` answers.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from typing import Annotated, Any

import typer

from boxwright import BoxwrightError
from boxwright_cli.pages import WIDTH, Commands, Group
from boxwright_cli.session import Session, printable

_ANYWHERE = frozenset({"--debug", "--quiet", "-q", "--verbose", "-v"})
"""Global flags that may stand behind the command as well, where people put them."""

_INTERRUPTED = 130  # 128 + SIGINT, as shells count


_COMMANDS = ("demo", "info", "validate", "diff", "view", "convert", "train", "evaluate", "predict", "export", "formats")
_GROUPS = ("plugins", "env")


class Program(Group):
    """The top of the command tree: takes global flags wherever they stand, and turns errors into exits."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = Commands("boxwright_cli.commands", _COMMANDS, _GROUPS)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Moves the global flags to the front, up to a ``--`` that ends all options."""
        end = args.index("--") if "--" in args else len(args)
        flags = [word for word in args[:end] if word in _ANYWHERE]
        others = [word for word in args[:end] if word not in _ANYWHERE]
        return super().parse_args(ctx, [*flags, *others, *args[end:]])

    def invoke(self, ctx: Any) -> Any:
        """Runs the command.

        Raises:
            typer.Exit: With the exit code of whatever went wrong; it has been said on stderr.
        """
        session = Session(**{name: bool(ctx.params.get(name)) for name in ("debug", "quiet", "verbose")})
        ctx.obj = session
        with warnings.catch_warnings():
            warnings.showwarning = _warner(session)
            try:
                result = super().invoke(ctx)
                session.finish()
                return result
            except (typer.Exit, typer.Abort, typer.TyperException):
                raise
            except BoxwrightError as error:
                _show(session, error.message, error.remedy)
                raise typer.Exit(error.exit_code) from None
            except KeyboardInterrupt:
                _show(session, f"interrupted; {session.if_interrupted}", head="")
                raise typer.Exit(_INTERRUPTED) from None
            except BrokenPipeError:
                # Whoever read the output has gone, as in `boxwright formats | head -1`: there is nobody to tell.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
                raise typer.Exit(1) from None
            except OSError as error:
                what = error.strerror or str(error)
                _show(session, f"{error.filename}: {what}" if error.filename else what, "check the path and its rights")
                raise typer.Exit(1) from None
            except Exception as error:
                problem = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
                remedy = "" if session.debug else "please report it with what `boxwright --debug ...` prints"
                _show(session, f"this is a bug in boxwright or in one of its plugins: {problem}", remedy)
                raise typer.Exit(1) from None
            finally:
                if session.json:
                    sys.stdout = session.stdout


def _show(session: Session, problem: str, remedy: str = "", head: str = "Error: ") -> None:
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


def _version(wanted: bool) -> None:
    if wanted:
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
    epilog="A dataset is written FORMAT:PLACE, as in labelimg:photos/train or tfrecord:train.record;"
    " see `boxwright formats`."
)
def _program(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress, no hints: only results and errors.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what plugins and libraries log, too.")] = False,
) -> None:
    """Annotated photos in, a working object detector out.

    Start with drawn pictures, then take your own photos:
      boxwright demo demo
      boxwright train --data labelimg:demo/train --out runs/demo
      boxwright predict runs/demo demo/test --out found
    """
    if verbose:
        import logging

        logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(name)s: %(message)s")


def main() -> None:
    """Runs the program; the entry point of the command ``boxwright``."""
    import gc
    import signal

    # Starting up makes hundreds of thousands of objects that stay; looking through them every 700 would find nothing.
    # The steps after the first stay as Python has them, so that a long training is cleaned up after in time.
    gc.set_threshold(10_000, 10, 10)
    # Pydantic would look through every installed distribution for plugins of its own.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # A polite kill unwinds like an error, so that outputs in the making are removed.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a class name must not stop a terminal of another encoding
    try:
        app(prog_name="boxwright")
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    finally:
        gc.freeze()  # the interpreter would look through all that is left once more before it ends
