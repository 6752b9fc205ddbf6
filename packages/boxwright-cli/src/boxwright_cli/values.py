"""Values of options that more than one command takes, and how they are read."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

_SIZE = re.compile(r"(\d+)\s*[xX×]\s*(\d+)")


class OnError(StrEnum):
    """What becomes of an item that cannot be used."""

    FAIL = "fail"
    SKIP = "skip"


OnErrorOption = Annotated[
    OnError,
    typer.Option(
        "--on-error",
        metavar="fail|skip",
        help="What to do with an item that cannot be read: stop there, or leave it out and list it.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
ModelArgument = Annotated[
    Path, typer.Argument(metavar="MODEL", help="The run folder of a training, or an exported model.")
]
ClassesOption = Annotated[
    Path | None,
    typer.Option(
        "--label-map",
        metavar="F",
        help="The classes of an exported model, where it does not say them; else label_map.pbtxt beside it.",
    ),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace what is there already.")]


def parse_size(text: str, option: str) -> tuple[int, int]:
    """``640x480`` as ``(640, 480)``: width and height in pixels.

    Args:
        text: As the user wrote it.
        option: Its name, for the message: ``--size``.

    Raises:
        typer.BadParameter: It is not two whole numbers of at least 1.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or "0" in (match[1].strip("0") or "0", match[2].strip("0") or "0"):
        raise typer.BadParameter(
            f"{text!r} is no size; write WIDTHxHEIGHT in pixels, such as 640x480", param_hint=f"'{option}'"
        )
    return int(match[1]), int(match[2])


def parse_count(text: str) -> int:
    """A whole number of at least 1.

    Raises:
        typer.BadParameter: It is none.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise typer.BadParameter(f"{text!r} is not a whole number of at least 1")
    return number


def parse_settings(pairs: list[str]) -> dict[str, object]:
    """``["learning_rate=0.001"]`` as a dict of strings; the backend checks names and types.

    Raises:
        typer.BadParameter: One has no ``=``, or a name stands twice.
    """
    settings: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name.strip() or not equals:
            raise typer.BadParameter(f"{pair!r} is no setting; write NAME=VALUE", param_hint="'--set'")
        if name.strip() in settings:
            raise typer.BadParameter(f"{name.strip()!r} stands twice", param_hint="'--set'")
        settings[name.strip()] = value
    return settings
