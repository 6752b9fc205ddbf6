"""``boxwright env``: manages the separate environments that some backends need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from boxwright_cli.meanings import names
from boxwright_cli.pages import Command, Group
from boxwright_cli.session import Session
from boxwright_cli.text import amount, duration
from boxwright_cli.values import JsonOption

if TYPE_CHECKING:
    from boxwright.environments import Environment

app = typer.Typer(
    cls=Group,
    help="Install, check and remove environments that backends need.",
    rich_markup_mode=None,
    no_args_is_help=True,
)

_Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="A name from `boxwright env list`.", autocompletion=names("environment")),
]


@app.command("list", cls=Command)
def list_(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the environments of the installed plugins, installed or not.

    Example:
      boxwright env list
    """
    session = Session.of(context)
    session.start(json=as_json)
    from boxwright.plugins import environments

    described = [_describe(environment) for environment in environments().values()]
    if as_json:
        session.result({"environments": described})
        return
    if not described:
        session.say("No installed plugin needs a separate environment.")
        return
    session.table(
        ("NAME", "STATUS", "SIZE", "FROM", ""),
        [(e["name"], e["status"], _size(e["bytes"]), e["distribution"], e["summary"]) for e in described],
    )
    for e in described:
        if e["status"] not in ("installed", "missing"):
            session.say()
            session.say(f"{e['name']} is {e['status']}: {e['path']}")
    missing = [f"boxwright env install {e['name']}" for e in described if e["status"] != "installed"]
    if missing:
        session.next_steps("To install:", missing)


@app.command("install", cls=Command)
def install(
    context: typer.Context,
    name: _Name,
    gpu: Annotated[
        bool | None,
        typer.Option(
            "--gpu/--no-gpu",
            help="Whether to install the packages for NVIDIA GPUs (Linux).",
            show_default="the installed kind, or without",
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Install it again, even if it has no problems.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Install an environment with uv, from the list of packages that its plugin ships.

    The list sets the version and the digest of every package. The environment is available after it has been installed
    completely and tested; one that matches the list already is not changed. Environments are installed below
    BOXWRIGHT_HOME, by default ~/.local/share/boxwright.

    Example:
      boxwright env install tfod
      boxwright env install tfod --gpu
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    from boxwright.environments import install
    from boxwright.plugins import find_environment

    environment = find_environment(name)
    session.if_interrupted = "nothing was installed."
    done = install(environment, again=again, gpu=gpu, reporter=reporter)
    content = _describe(environment) | {"changed": done}
    if as_json:
        session.result(content)
        return
    if done:
        session.say(
            f"{name} is installed{' for GPUs' if content['gpu'] else ''}: {amount(content['packages'], 'package')},"
            f" {_size(content['bytes'])} in {duration(content['seconds'])}"
        )
    else:
        session.say(f"{name} is installed already, from the same list; --again installs it again")
    session.say(content["path"])


@app.command("check", cls=Command)
def check(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The environment; by default all that are installed.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check environments: that their packages exist, have the right versions and can be imported.

    The exit status is 1 if there are problems.

    Example:
      boxwright env check tfod
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    from boxwright.plugins import environments, find_environment

    declared = environments()
    chosen = [find_environment(name)] if name else [e for e in declared.values() if e.status != "missing"]
    results = []
    for environment in chosen:
        with reporter.task(f"Checking {environment.name}"):
            results.append(_describe(environment) | {"problems": environment.check()})
    if as_json:
        session.result({"environments": results})
    elif not results:
        session.say("No environment is installed.")
    else:
        for result in results:
            _show_check(session, result)
    if any(result["problems"] for result in results):
        raise typer.Exit(1)


@app.command("remove", cls=Command)
def remove(context: typer.Context, name: _Name, as_json: JsonOption = False) -> None:
    """Remove an environment; runs that were trained with it are not changed.

    Example:
      boxwright env remove tfod
    """
    session = Session.of(context)
    session.start(json=as_json)
    from boxwright.environments import remove
    from boxwright.plugins import find_environment

    environment = find_environment(name)
    freed = remove(environment)
    if as_json:
        session.result({"name": name, "path": str(environment.path), "freed": freed})
    elif freed:
        session.say(f"{name} is removed, which frees {_size(freed)}")
    else:
        session.say(f"{name} is not installed; nothing to remove")


def _show_check(session: Session, result: dict[str, Any]) -> None:
    if not result["problems"]:
        session.say(
            f"{result['name']} has no problems: {amount(result['packages'], 'package')}, {_size(result['bytes'])}"
        )
        return
    session.say(f"{result['name']}: {amount(len(result['problems']), 'problem')}", style="red")
    for problem in result["problems"]:
        session.say(f"  {problem}")
    again = " --again" if result["status"] == "installed" else ""
    session.say(f"  -> run: boxwright env install {result['name']}{again}")


def _describe(environment: Environment) -> dict[str, Any]:
    """Returns plain values; for an environment that is not installed, the expected size."""
    made = environment.made
    return {
        "name": environment.name,
        "summary": environment.spec.summary,
        "status": environment.status,
        "distribution": environment.distribution,
        "path": str(environment.path),
        "python": environment.spec.python,
        "gpu": environment.gpu,
        "packages": made.get("packages", len(environment.pins)),
        "bytes": made.get("bytes", environment.size),
        "made": made.get("made"),
        "seconds": made.get("seconds"),
    }


def _size(count: int) -> str:
    from boxwright.environments import describe_size

    return describe_size(count)
