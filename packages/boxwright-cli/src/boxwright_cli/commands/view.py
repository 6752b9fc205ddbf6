"""``boxwright view``: pictures of a dataset with their boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from boxwright_cli.session import Session, amount, show_skipped
from boxwright_cli.values import JsonOption, OnError, OnErrorOption, OverwriteOption, parse_count


def view(
    context: typer.Context,
    uri: Annotated[str, typer.Argument(metavar="URI", help="The dataset: FORMAT:PLACE, or PLACE alone.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="A contact sheet (.png, .jpg) or a page (.html).")
    ] = Path("sheet.png"),
    images: Annotated[
        int, typer.Option("--images", metavar="N", parser=parse_count, help="At most so many pictures.")
    ] = 24,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed", metavar="S", help="A random choice of pictures.", show_default="spread over the dataset"
        ),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="NAME", help="Only pictures with this class; may be given several times."),
    ] = None,
    on_error: OnErrorOption = OnError.FAIL,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Draw pictures of a dataset with their boxes.

    Examples:
      boxwright view labelimg:photos/train
      boxwright view tfrecord:train.record --out page.html --images 100 --class mug
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    session.if_interrupted = f"nothing half-written is left, and {out} is as it was."
    from boxwright.analysis import view as draw

    shown = draw(
        uri,
        out=out,
        images=images,
        seed=seed,
        classes=classes or (),
        on_error=on_error.value,
        overwrite=overwrite,
        reporter=reporter,
    )
    if as_json:
        session.result(shown.to_dict())
        return
    session.say(f"{out}: {amount(shown.shown, 'picture')} of {shown.candidates:,}", style="bold")
    session.say(", ".join(f"{name} {n:,}" for name, n in shown.classes.items()))
    show_skipped(session, shown.skipped)
