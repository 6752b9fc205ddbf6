"""``boxwright formats``: lists what each dataset format reads, writes and carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from boxwright_cli.meanings import names as complete
from boxwright_cli.session import Session
from boxwright_cli.values import JsonOption

if TYPE_CHECKING:
    from collections.abc import Iterable

    from boxwright.plugins import Option

_WORDS = {
    "images": "the images",
    "empty": "images without boxes",
    "subpixel": "sub-pixel coordinates",
    "split": "the split",
    "box.*": "any field of a box",
    "image.*": "any field of an image",
    "dataset.*": "any field of the dataset",
}
_OWNERS = {"box": "", "image": " of the image", "dataset": " of the dataset"}


def formats(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FORMAT]...",
            help="Show these in detail, with their options.",
            autocompletion=complete("format"),
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the dataset formats; with names, show them in detail.

    A dataset is written as FORMAT:LOCATION?option=value. Every format can represent file names, image sizes, class
    names and whole-pixel boxes; the details list what a written dataset can carry in addition.

    Examples:
      boxwright formats
      boxwright formats coco yolo
    """
    session = Session.of(context)
    session.start(json=as_json)
    from boxwright.plugins import default_registry

    entries = [default_registry().get("format", name) for name in names] if names else default_registry().all("format")
    found = [describe(entry) for entry in entries]
    if as_json:
        session.result({"formats": found})
        return
    if not found:
        session.say("No format is installed. To list the plugins: boxwright plugins list")
        return
    session.table(
        ("FORMAT", "READS", "WRITES", "SUMMARY"),
        [(f["name"], "yes" if f["reads"] else "no", "yes" if f["writes"] else "no", f["summary"]) for f in found],
    )
    if not names:
        session.say()
        session.say("To show what a format carries, and its options: boxwright formats NAME")
        return
    for f in found:
        session.say()
        session.say(f["name"], style="bold")
        if f["missing"]:
            session.say(f"  cannot be used yet: {', '.join(f['missing'])} is not installed; run: {f['install']}")
        session.say(f"  carries: {', '.join(_carried(f['carries'])) or 'nothing in addition'}")
        for setting, changes in f["carries_with"].items():
            session.say(f"    with {setting}: {_changes(changes)}")
        if f["adds"]:
            session.say(f"  adds: {', '.join(_carried(f['adds']))}")
        for purpose, options in (("reading", f["read_options"]), ("writing", f["write_options"])):
            if options:
                session.say(f"  options for {purpose}:")
                session.table(("",) * 3, [(f"    {o['name']}", option_value(o), o["help"]) for o in options])


def describe(entry: Any) -> dict[str, Any]:
    """Returns a registered format as plain values."""
    spec = entry.spec
    return {
        "name": spec.name,
        "summary": spec.summary,
        "reads": bool(spec.load),
        "writes": bool(spec.write),
        "target": spec.target,
        "suffixes": list(spec.suffixes),
        "carries": sorted(spec.carries),
        "carries_with": {
            f"{option.name}={value}": changes.split()
            for option in spec.write_options
            for value, changes in option.carries.items()
        },
        "adds": sorted(spec.adds),
        "read_options": options_table(spec.options),
        "write_options": options_table(spec.write_options),
        "true_size": spec.true_size,
        "label_map_file": spec.label_map_file or None,
        "distribution": entry.distribution,
        "version": entry.version,
        "missing": list(entry.missing),
        "install": spec.install,
        "docs": spec.docs or None,
    }


def options_table(options: Iterable[Option]) -> list[dict[str, Any]]:
    """Returns the options of a plugin as plain values."""
    return [
        {
            "name": option.name,
            "type": "|".join(option.type) if isinstance(option.type, tuple) else _TYPES[option.type],
            "default": option.default,
            "required": option.required,
            "limits": option.limits,
            "help": option.help,
        }
        for option in options
    ]


def option_value(option: dict[str, Any]) -> str:
    """Returns the type and default of an option: ``whole number = 3``."""
    kind = f"{option['type']} {option['limits']}".rstrip()
    if option["required"]:
        return f"{kind}, required"
    if option["default"] is None:
        return kind
    default = str(option["default"]).lower() if isinstance(option["default"], bool) else option["default"]
    return f"{kind} = {default}"


_TYPES: dict[type, str] = {str: "text", int: "whole number", float: "number", bool: "true|false"}


def _carried(names: Iterable[str]) -> list[str]:
    words = [*_WORDS]
    own = [name for name in names if not name.startswith("-")]
    plain = sorted((name for name in own if name in words), key=words.index)
    fields = [name for name in own if name not in words and "." in name]
    return [_word(name) for name in plain + fields] + [
        f"not {_word(name[1:])}" for name in names if name.startswith("-")
    ]


def _changes(changes: Iterable[str]) -> str:
    """Returns the effect of an option in words: ``also score, not the images``."""
    return ", ".join(("also " if change[0] == "+" else "not ") + _word(change[1:]) for change in changes)


def _word(name: str) -> str:
    if name in _WORDS:
        return _WORDS[name]
    owner, _, field = name.partition(".")
    return field + _OWNERS.get(owner, "")
