"""``boxwright demo``: a drawn dataset to start from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from boxwright_cli.meanings import writes
from boxwright_cli.session import Session
from boxwright_cli.text import amount
from boxwright_cli.values import JsonOption, OverwriteOption, parse_count, parse_size

_INSTALL = "python -m pip install boxwright-demo"


def demo(
    context: typer.Context,
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Folder in which train and test are created.", autocompletion=writes("folder")
        ),
    ],
    images: Annotated[
        int,
        typer.Option(
            "--images",
            metavar="N",
            parser=parse_count,
            help="Images to train on; a quarter as many are drawn for testing.",
        ),
    ] = 240,
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="Another seed draws other images.")] = 0,
    size: Annotated[
        str | None,
        typer.Option("--size", metavar="WxH", help="Size of each image.", show_default="192x160; with --small 960x720"),
    ] = None,
    small: Annotated[
        bool, typer.Option("--small", help="Many small objects in large images, to try `predict --slice` on.")
    ] = False,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Draw an annotated dataset to start from: mugs, leaves and keys.

    Writes the images and their labelImg XML files to DIR/train and DIR/test. The three classes differ by shape alone,
    so that a model has something to learn. No download.

    Example:
      boxwright demo demo
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    from boxwright import DatasetURI, OutputError, PluginNotFoundError, convert
    from boxwright.plugins import default_registry

    try:
        default_registry().get("format", "demo")
    except PluginNotFoundError as error:
        raise PluginNotFoundError(error.message, f"run: {_INSTALL}") from None
    for part in (folder / "train", folder / "test"):
        # Checked here, so that nothing is drawn for a folder that cannot be written in the end.
        if not overwrite and part.exists() and not (part.is_dir() and not os.listdir(part)):
            raise OutputError(f"{part} exists already", "choose another folder, or pass --overwrite")
    options = {"images": str(images), "seed": str(seed)}
    if small:
        options["small"] = "true"
    if size:
        options["size"] = "{}x{}".format(*parse_size(size, "--size"))
    report = convert(
        DatasetURI("all", "demo", options),
        DatasetURI(f"{folder}/{{split}}".replace("//", "/"), "labelimg"),
        overwrite=overwrite,
        reporter=reporter,
    )
    if as_json:
        session.result(report.to_dict())
        return
    for target, count in report.samples.items():
        session.say(f"{target}: {amount(count, 'image')}")
    boxes = ", ".join(f"{label} {count:,}" for label, count in report.classes.items())
    session.say(f"{amount(report.boxes, 'box')}: {boxes}")
    train, test = list(report.targets)
    session.next_steps(
        "Look at them, train a detector, and see its detections:",
        [
            f"boxwright view {train} --out {folder}/sheet.png",
            f"boxwright train --data {train} --val {test} --out runs/demo",
            f"boxwright evaluate runs/demo --data {test}",
            f"boxwright predict runs/demo {test.partition(':')[2]} --out found",
        ],
    )
