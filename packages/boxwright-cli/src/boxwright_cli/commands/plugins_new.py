"""``boxwright plugins new``: creates a plugin package to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from boxwright_cli.session import Session
from boxwright_cli.values import JsonOption

INSTALL = "python -m pip install boxwright-testing"
"""The command that installs the requirement of ``new`` and ``check``."""


def new(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The name for users, in lower case, such as myformat or my-format.")
    ],
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            metavar="KIND",
            help="format, transform, augmenter, backend, metric, trainer, exporter, loader, logger, command,"
            " annotator or engine.",
        ),
    ] = "format",
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="DIR", show_default=False, help="The new folder; boxwright-NAME by default."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Create a working plugin package, as a start for your own.

    It can be installed, is found by boxwright, and passes ruff, mypy and the conformance tests.

    Examples:
      boxwright plugins new myformat
      boxwright plugins new sharpen --kind transform --out code/sharpen
    """
    session = Session.of(context)
    session.start(json=as_json)
    session.if_interrupted = "nothing was created."
    names, files = _rendered(name, kind)
    _refuse_taken(names, kind)
    folder = out or names.distribution
    _write(folder, files)
    if as_json:
        session.result(
            {
                "kind": kind,
                "name": names.plugin,
                "distribution": names.distribution,
                "package": names.package,
                "folder": folder,
                "files": list(files),
            }
        )
        return
    session.say(f"{folder}: the {kind} {names.plugin}, in the package {names.distribution}")
    session.table(("", ""), [(f"  {path}", _purpose(path)) for path in files if _purpose(path)])
    session.next_steps(
        "Install it, test it, and check it:",
        [
            f"cd {folder}",
            'python -m pip install -e ".[dev]"',
            "python -m pytest",
            f"boxwright plugins check {names.distribution}",
        ],
    )


def _rendered(name: str, kind: str) -> tuple[Any, dict[str, str]]:
    """Returns the names of the new plugin, and the text of each of its files."""
    from boxwright import MissingLibraryError

    try:
        from boxwright_testing.template import Names, render
    except ImportError as error:
        raise MissingLibraryError(f"the plugin skeletons are not installed ({error})", f"run: {INSTALL}") from None
    names = Names.of(name)
    return names, dict(render(names, kind))


def _refuse_taken(names: Any, kind: str) -> None:
    from importlib.metadata import PackageNotFoundError, version

    from boxwright import UsageError
    from boxwright.plugins import default_registry

    remedy = "choose another name: two plugins with the same name cannot be used together"
    for entry in default_registry().all(kind):
        if entry.spec.name == names.plugin:
            raise UsageError(f"the {kind} {names.plugin} exists already, in {entry.distribution}", remedy)
    for record in default_registry().plugins.records:
        if record.name == names.plugin:
            raise UsageError(f"the plugin {names.plugin} exists already, in {record.distribution}", remedy)
    try:
        installed = version(names.distribution)
    except PackageNotFoundError:
        return
    raise UsageError(f"{names.distribution} {installed} is installed already", "choose another name, or uninstall it")


def _write(folder: str, files: dict[str, str]) -> None:
    from boxwright import OutputError
    from boxwright.storage import AtomicOutput

    path = Path(folder)
    # Never replaced, because it may contain somebody's work.
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise OutputError(f"{folder} exists already", "choose another folder with --out DIR")
    with AtomicOutput(folder, "folder") as output:
        for name, text in files.items():
            with output.open(name) as file:
                file.write(text.encode())


_PURPOSES = {
    "pyproject.toml": "metadata, and the entry point of the plugin",
    "README.md": "documentation for users",
    "__init__.py": "the description of the plugin",
    "conformance.py": "settings of the conformance tests",
}


def _purpose(path: str) -> str:
    name = path.rpartition("/")[2]
    if path.startswith("tests/"):
        return "the conformance tests, and your own tests"
    if name in _PURPOSES:
        return _PURPOSES[name]
    return "the implementation" if path.startswith("src/") and name.endswith(".py") else ""
