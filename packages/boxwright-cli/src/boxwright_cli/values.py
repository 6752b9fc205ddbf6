"""Options and arguments that several commands share, and parsers for their values."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from boxwright_cli.meanings import names, reads

_SIZE = re.compile(r"(\d+)\s*[xX×]\s*(\d+)")


class OnError(StrEnum):
    """The treatment of an item that cannot be read."""

    FAIL = "fail"
    SKIP = "skip"


OnErrorOption = Annotated[
    OnError,
    typer.Option(
        "--on-error",
        metavar="fail|skip",
        help="What to do with an item that cannot be read: stop, or skip and list it.",
    ),
]
OnErrorOrLimitOption = Annotated[
    OnError | None,
    typer.Option(
        "--on-error",
        metavar="fail|skip",
        help="What to do with an item that cannot be read: stop, or skip and list it. See --max-bad.",
    ),
]
MaxBadOption = Annotated[
    str | None,
    typer.Option(
        "--max-bad",
        metavar="N|P%",
        help="How many items that cannot be read are left out and listed; with more, stop. 0 stops at the first.",
        show_default="1%; 0 for conversions, except to tfrecord",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
ModelArgument = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="The run folder of a training, or an exported model.", autocompletion=reads("model")
    ),
]
ClassesOption = Annotated[
    Path | None,
    typer.Option(
        "--label-map",
        metavar="F",
        autocompletion=reads("file"),
        help="The classes of a model without them; by default label_map.pbtxt next to it.",
    ),
]
FirstClassesOption = Annotated[
    str, typer.Option("--classes", metavar="A,B,C", help="Classes to begin with, in the order of the keys 1 to 9.")
]
PagePortOption = Annotated[
    int, typer.Option("--port", metavar="P", min=0, max=65535, help="Port of the page.", show_default="any free one")
]
NoBrowserOption = Annotated[bool, typer.Option("--no-browser", help="Only print the address of the page.")]
DeviceOption = Annotated[
    str,
    typer.Option("--device", metavar="NAME", help="Device of an exported model: CPU, GPU, NPU or AUTO for OpenVINO."),
]
SliceOption = Annotated[
    str,
    typer.Option(
        "--slice",
        metavar="WxH[:overlap=0.2]",
        help="Tiles that large images are cut into, for small objects.",
    ),
]
HeldOutOption = Annotated[
    str,
    typer.Option(
        "--data",
        metavar="URI",
        help="Annotated images that it was not trained on.",
        autocompletion=reads("dataset"),
    ),
]
UriArgument = Annotated[
    str,
    typer.Argument(
        metavar="URI",
        help="The dataset: FORMAT:LOCATION, or LOCATION alone.",
        autocompletion=reads("dataset"),
    ),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")]


def parse_size(text: str, option: str) -> tuple[int, int]:
    """Returns width and height in pixels: ``640x480`` as ``(640, 480)``.

    Args:
        text: The value.
        option: The option's name, for the message: ``--size``.

    Raises:
        typer.BadParameter: The value is not two whole numbers of at least 1.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or "0" in (match[1].strip("0") or "0", match[2].strip("0") or "0"):
        raise typer.BadParameter(
            f"{text!r} is not a size; write WIDTHxHEIGHT in pixels, such as 640x480", param_hint=f"'{option}'"
        )
    return int(match[1]), int(match[2])


def parse_count(text: str) -> int:
    """Returns a whole number of at least 1.

    Raises:
        typer.BadParameter: The value is not one.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise typer.BadParameter(f"{text!r} is not a whole number of at least 1")
    return number


def parse_settings(pairs: list[str]) -> dict[str, object]:
    """Returns ``["learning_rate=0.001"]`` as a dict of strings; the backend checks names and types.

    Raises:
        typer.BadParameter: A pair has no ``=``, or a name is a duplicate.
    """
    settings: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name.strip() or not equals:
            raise typer.BadParameter(f"{pair!r} is not a setting; write NAME=VALUE", param_hint="'--set'")
        if name.strip() in settings:
            raise typer.BadParameter(f"duplicate setting {name.strip()!r}", param_hint="'--set'")
        settings[name.strip()] = value
    return settings


BatchSizeOption = Annotated[
    int, typer.Option("--batch-size", metavar="N", parser=parse_count, help="Number of images to process at once.")
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        parser=parse_count,
        help="Number of threads or processes.",
        show_default="one per core",
    ),
]
EngineOption = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="NAME[:OPTION=VALUE,...]",
        help="Share the work with other machines, such as ray.",
        autocompletion=names("engine"),
    ),
]
AddressOption = Annotated[
    str, typer.Option("--address", metavar="ADDRESS", help="The address of the cluster of --engine.")
]


def engine_of(engine: str, address: str) -> str:
    """Returns an engine with its address as an option.

    Raises:
        UsageError: There is an address and no engine.
    """
    if not address:
        return engine
    if not engine:
        from boxwright import UsageError

        raise UsageError("--address without --engine", "pass --engine NAME, such as --engine ray")
    return f"{engine}{',' if ':' in engine else ':'}address={address}"


def on_error_of(on_error: OnError | None, max_bad: str | None) -> str | None:
    """Returns what to do with items that cannot be read, ``None`` for the default.

    Raises:
        UsageError: Both options are given.
    """
    if on_error is not None and max_bad is not None:
        from boxwright import UsageError

        raise UsageError("--on-error and --max-bad say the same in two ways", "pass one of them")
    return max_bad if on_error is None else on_error.value
