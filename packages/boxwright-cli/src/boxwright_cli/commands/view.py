"""``boxwright view``: draws images of a dataset with their boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from boxwright_cli.meanings import names, writes
from boxwright_cli.session import Session, show_skipped
from boxwright_cli.text import amount
from boxwright_cli.values import JsonOption, OnError, OnErrorOption, OverwriteOption, UriArgument, parse_count


def view(
    context: typer.Context,
    uri: UriArgument,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="FILE",
            help="A contact sheet (.png, .jpg) or a page (.html).",
            autocompletion=writes("file"),
        ),
    ] = Path("sheet.png"),
    images: Annotated[
        int, typer.Option("--images", metavar="N", parser=parse_count, help="Largest number of images.")
    ] = 24,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed", metavar="S", help="Seed for a random choice of images.", show_default="spread over the dataset"
        ),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="NAME", help="Only images with this class; can be repeated."),
    ] = None,
    augment: Annotated[
        list[str] | None,
        typer.Option(
            "--augment",
            metavar="STEP",
            autocompletion=names("augmenter"),
            help="Show each image before and after this augmenter, as for train; can be repeated.",
        ),
    ] = None,
    on_error: OnErrorOption = OnError.FAIL,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Draw images of a dataset with their boxes.

    Examples:
      boxwright view labelimg:photos/train
      boxwright view tfrecord:train.record --out page.html --images 100 --class mug
      boxwright view labelimg:photos/train --augment crop:smallest=0.4 --augment "choice(color|blur)"
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    session.protects(out)
    from boxwright.analysis import view as draw

    shown = draw(
        uri,
        out=out,
        images=images,
        seed=seed,
        classes=classes or (),
        augment=augment or (),
        on_error=on_error.value,
        overwrite=overwrite,
        reporter=reporter,
    )
    if as_json:
        session.result(shown.to_dict())
        return
    session.say(f"{out}: {amount(shown.shown, 'image')} of {shown.candidates:,}", style="bold")
    session.say(", ".join(f"{name} {n:,}" for name, n in shown.classes.items()))
    show_skipped(session, shown.skipped)
